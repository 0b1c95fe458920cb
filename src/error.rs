//! The errors that leave the crate. Each says what happened and, where there is
//! something to do about it, what.

/// Everything that can go wrong in the library.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A frame's bytes do not hold what its layout promises.
    #[error("frame data does not match its layout: {0}")]
    Frame(String),
    /// A model pack is incomplete, damaged or not understood.
    #[error("model pack: {0}")]
    Pack(String),
    /// A model file is damaged, or asks for what is not supported.
    #[error("model: {0}")]
    Model(String),
    /// A network could not be loaded or run.
    #[error("inference: {0}")]
    Inference(String),
    /// A video cannot be read; the text goes on after the file's name.
    #[error("{0}")]
    Video(String),
    /// An option or a call makes no sense.
    #[error("{0}")]
    Usage(String),
    /// The job was told to stop.
    #[error("cancelled")]
    Cancelled,
    /// An image could not be encoded.
    #[error("image: {0}")]
    Image(String),
}

/// `Result` with this crate's [`Error`].
pub type Result<T> = std::result::Result<T, Error>;

/// Errors of tract are dynamic; their whole cause chain is kept as text.
pub(crate) fn inference(error: impl std::fmt::Display) -> Error {
    Error::Inference(format!("{error:#}"))
}
