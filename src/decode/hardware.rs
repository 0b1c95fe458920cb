//! Decoders in hardware: NVIDIA's through CUDA, and those behind VAAPI.

use crate::error::{Error, Result};
use ffmpeg_next as ffmpeg;
use ffmpeg_next::{codec, ffi, frame};
use std::ptr::null_mut;
use std::sync::{Mutex, PoisonError};

/// A kind of hardware decoder.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Hardware {
    /// NVDEC, on NVIDIA GPUs.
    Cuda,
    /// Intel's and AMD's under Linux.
    Vaapi,
}

/// A kind by the order in which they are tried.
pub const ALL: [Hardware; 2] = [Hardware::Cuda, Hardware::Vaapi];

impl Hardware {
    /// FFmpeg's name.
    pub fn name(self) -> &'static str {
        match self {
            Self::Cuda => "cuda",
            Self::Vaapi => "vaapi",
        }
    }

    /// Whether it really opens here; the error says why not.
    pub fn check(self) -> Result<()> {
        ffmpeg::init().map_err(|e| Error::Video(e.to_string()))?;
        ffmpeg::log::set_level(ffmpeg::log::Level::Fatal);
        self.reference().map(|_| ())
    }

    /// A reference to its device, which is opened once: all decoders of a process share it.
    pub fn reference(self) -> Result<Reference> {
        static OPEN: Mutex<Vec<(Hardware, Reference)>> = Mutex::new(Vec::new());
        let mut open = OPEN.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((_, device)) = open.iter().find(|(hardware, _)| *hardware == self) {
            return device.again();
        }
        let device = Reference::open(self)?;
        let another = device.again();
        open.push((self, device));
        another
    }

    fn kind(self) -> ffi::AVHWDeviceType {
        match self {
            Self::Cuda => ffi::AVHWDeviceType::AV_HWDEVICE_TYPE_CUDA,
            Self::Vaapi => ffi::AVHWDeviceType::AV_HWDEVICE_TYPE_VAAPI,
        }
    }
}

/// A reference to an open device.
pub struct Reference(*mut ffi::AVBufferRef);

// SAFETY: FFmpeg counts references atomically, and locks the device where it uses it.
unsafe impl Send for Reference {}

impl Reference {
    fn open(hardware: Hardware) -> Result<Self> {
        let mut device = null_mut();
        // SAFETY: the pointer is written on success only, and null stands for the usual device and no options.
        let code =
            unsafe { ffi::av_hwdevice_ctx_create(&raw mut device, hardware.kind(), std::ptr::null(), null_mut(), 0) };
        match code {
            0.. => Ok(Self(device)),
            _ => Err(Error::Video(format!("{} does not open ({})", hardware.name(), ffmpeg::Error::from(code)))),
        }
    }

    fn again(&self) -> Result<Self> {
        // SAFETY: the reference is alive; null means that there was no memory.
        let another = unsafe { ffi::av_buffer_ref(self.0) };
        if another.is_null() { Err(Error::Video("has no memory for its decoder".into())) } else { Ok(Self(another)) }
    }
}

impl Drop for Reference {
    fn drop(&mut self) {
        // SAFETY: the reference is ours, and given back once.
        unsafe { ffi::av_buffer_unref(&raw mut self.0) }
    }
}

/// Has a decoder that is not open yet use hardware. FFmpeg then chooses the hardware's pixel format
/// by itself, or goes on in software where the hardware does not know the codec.
pub fn attach(context: &mut codec::context::Context, device: Reference) {
    let device = std::mem::ManuallyDrop::new(device);
    // SAFETY: the context is alive and not open; the reference is its own now, and it gives it back.
    unsafe { (*context.as_mut_ptr()).hw_device_ctx = device.0 };
}

/// Whether a frame is in the hardware's memory.
pub fn holds(frame: &frame::Video) -> bool {
    // SAFETY: the frame is alive, and a pointer of it is only compared.
    !unsafe { (*frame.as_ptr()).hw_frames_ctx.is_null() }
}

/// A frame in the computer's memory, if it is in the hardware's.
pub fn fetched(frame: &frame::Video) -> Result<Option<frame::Video>> {
    if !holds(frame) {
        return Ok(None);
    }
    let mut copy = frame::Video::empty();
    // SAFETY: both frames are alive; the second is empty, and is given buffers and properties of the first.
    let code = unsafe {
        match ffi::av_hwframe_transfer_data(copy.as_mut_ptr(), frame.as_ptr(), 0) {
            0.. => ffi::av_frame_copy_props(copy.as_mut_ptr(), frame.as_ptr()),
            code => code,
        }
    };
    match code {
        0.. => Ok(Some(copy)),
        _ => Err(Error::Video(format!("cannot be fetched from the hardware decoder ({})", ffmpeg::Error::from(code)))),
    }
}
