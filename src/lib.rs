//! framesift picks a varied, sharp set of stills of the people in a video.
//!
//! The data flow, module by module:
//!
//! ```text
//!  a decoder's planes          browser: WebCodecs; natively: decode (FFmpeg)
//!        │  frame              layouts, RGB conversion
//!        ▼
//!     sampling                 features → scenes, runs of look-alikes → candidates
//!        │  candidates (few, full resolution)
//!        ▼
//!      faces                   detect → refine → align → embed → quality
//!        │                     on inference: our INT8 kernels; tract for what is float
//!        ▼
//!     pipeline                 the records of one video → selection → manifest
//!        │  chosen frames, decoded once more
//!        ▼
//!      still                   frames, faces and thumbnails as JPEG, called by naming;
//!                              beside them contact sheets and dataset's files
//! ```
//!
//! Pixels only pass through; what stays are small records, so memory does not
//! grow with the video beyond them, and choosing again needs no decoding.
//! `journal` keeps what came in, so that an interrupted scan goes on.
//! `browser` is the same crate's face towards JavaScript; natively, `job` runs one video
//! from file to folder.

#![warn(missing_docs)]

pub mod contact;
pub mod dataset;
#[cfg(all(feature = "ffmpeg", not(target_arch = "wasm32")))]
pub mod decode;
pub mod error;
pub mod faces;
pub mod frame;
pub mod inference;
#[cfg(all(feature = "ffmpeg", not(target_arch = "wasm32")))]
pub mod job;
pub mod journal;
pub mod manifest;
pub mod naming;
pub mod pipeline;
pub mod sampling;
pub mod still;

#[cfg(target_arch = "wasm32")]
pub mod browser;

pub use error::{Error, Result};
