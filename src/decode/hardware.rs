//! Decoders in hardware: NVIDIA's through CUDA, and those behind VAAPI.

use crate::error::{Error, Result};
use ffmpeg_next as ffmpeg;
use ffmpeg_next::{codec, ffi, frame};
use std::ptr::null_mut;

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
        Device::open(self).map(|_| ())
    }

    fn kind(self) -> ffi::AVHWDeviceType {
        match self {
            Self::Cuda => ffi::AVHWDeviceType::AV_HWDEVICE_TYPE_CUDA,
            Self::Vaapi => ffi::AVHWDeviceType::AV_HWDEVICE_TYPE_VAAPI,
        }
    }
}

/// An open device.
struct Device(*mut ffi::AVBufferRef);

impl Device {
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
}

impl Drop for Device {
    fn drop(&mut self) {
        // SAFETY: the reference is ours, and given back once.
        unsafe { ffi::av_buffer_unref(&raw mut self.0) }
    }
}

/// Has a decoder that is not open yet use hardware. FFmpeg then chooses the hardware's pixel format
/// by itself, or goes on in software where the hardware does not know the codec.
pub fn attach(context: &mut codec::context::Context, hardware: Hardware) -> Result<()> {
    let device = Device::open(hardware)?;
    // SAFETY: the context is alive and not open; it gets a reference of its own, which it gives back itself.
    unsafe { (*context.as_mut_ptr()).hw_device_ctx = ffi::av_buffer_ref(device.0) };
    Ok(())
}

/// A frame in the computer's memory, if it is in the hardware's.
pub fn fetched(frame: &frame::Video) -> Result<Option<frame::Video>> {
    // SAFETY: the frame is alive, and a pointer of it is only compared.
    if unsafe { (*frame.as_ptr()).hw_frames_ctx.is_null() } {
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
