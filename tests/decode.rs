//! Decoding through FFmpeg's libraries: every frame, its time and its bytes as the
//! programs `ffprobe` and `ffmpeg` give them, and honest counts of what is damaged.
#![cfg(all(feature = "ffmpeg", not(target_arch = "wasm32")))]

use framesift::decode::{Decoded, Reader, Tally};
use std::path::{Path, PathBuf};
use std::process::Command;

fn ffmpeg(arguments: &[&str]) -> Vec<u8> {
    let output = Command::new("ffmpeg").args(["-v", "error", "-y"]).args(arguments).output().expect("ffmpeg runs");
    assert!(output.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
    output.stdout
}

/// A clip of two seconds: moving test pattern, `arguments` say how it is encoded.
fn clip(name: &str, size: &str, arguments: &[&str]) -> PathBuf {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("decode");
    std::fs::create_dir_all(&folder).expect("a folder for clips");
    let path = folder.join(name);
    let source = format!("testsrc2=size={size}:rate=25:duration=2");
    let file = path.to_str().expect("an ordinary path");
    ffmpeg(&[&["-f", "lavfi", "-i", &source], arguments, &[file]].concat());
    path
}

fn all(path: &Path) -> (Vec<Decoded>, Reader) {
    let mut reader = Reader::open(path, 2).expect("the clip opens");
    let mut frames = Vec::new();
    while let Some(frame) = reader.decode(Vec::new()).expect("goes on") {
        frames.push(frame);
    }
    (frames, reader)
}

fn tally(reader: &Reader) -> Tally {
    reader.tally().clone()
}

/// Times of the frames that are shown, in seconds.
fn times(path: &Path) -> Vec<f64> {
    let output = Command::new("ffprobe")
        .args([
            "-v",
            "error",
            "-select_streams",
            "v:0",
            "-of",
            "csv=p=0",
            "-show_entries",
            "frame=best_effort_timestamp_time",
        ])
        .arg(path)
        .output()
        .expect("ffprobe runs");
    let text = String::from_utf8(output.stdout).expect("ffprobe writes text");
    text.lines().filter_map(|line| line.split(',').next()?.parse().ok()).collect()
}

/// Frames, times and bytes are those of FFmpeg's programs; nothing is missing.
fn agrees(path: &Path, pixels: &str) {
    let (frames, reader) = all(path);
    let expected = times(path);
    let raw = ffmpeg(&[
        "-noautorotate",
        "-i",
        path.to_str().expect("an ordinary path"),
        "-fps_mode",
        "passthrough",
        "-f",
        "rawvideo",
        "-pix_fmt",
        pixels,
        "-",
    ]);
    let name = path.display();
    assert_eq!(frames.len(), expected.len(), "{name}");
    assert_eq!(tally(&reader).notes, [""; 0], "{name}");
    assert_eq!((reader.expected(), tally(&reader).frames), (frames.len() as u64, frames.len() as u64), "{name}");
    assert_eq!(raw.len(), frames.iter().map(|frame| frame.data.len()).sum::<usize>(), "{name}");
    let mut at = 0;
    for (frame, time_s) in frames.iter().zip(&expected) {
        assert!((frame.time_s - time_s).abs() < 1e-5, "{name}: {} for {time_s}", frame.time_s);
        assert!(frame.data == raw[at..at + frame.data.len()], "{name}: pixels at {time_s} s");
        at += frame.data.len();
    }
}

#[test]
fn every_frame_of_usual_files() {
    let x264 = |more: &[&'static str]| [&["-c:v", "libx264", "-preset", "ultrafast"], more].concat();
    agrees(&clip("high.mp4", "320x180", &x264(&["-preset", "medium", "-pix_fmt", "yuv420p"])), "yuv420p");
    agrees(
        &clip(
            "open_gop.mkv",
            "320x180",
            &x264(&["-preset", "medium", "-g", "12", "-x264-params", "open-gop=1:b-pyramid=2", "-pix_fmt", "yuv420p"]),
        ),
        "yuv420p",
    );
    agrees(&clip("ten_bit.mp4", "320x180", &x264(&["-pix_fmt", "yuv420p10le"])), "yuv420p10le");
    agrees(&clip("four_two_two.mp4", "320x180", &x264(&["-pix_fmt", "yuv422p"])), "yuv422p");
    agrees(&clip("four_four_four.mov", "320x180", &x264(&["-pix_fmt", "yuv444p"])), "yuv444p");
    agrees(&clip("odd.mkv", "321x179", &["-c:v", "ffv1", "-pix_fmt", "yuv420p"]), "yuv420p");
    agrees(&clip("stream.ts", "320x180", &x264(&["-pix_fmt", "yuv420p"])), "yuv420p");
    agrees(
        &clip(
            "vp9.webm",
            "320x180",
            &["-c:v", "libvpx-vp9", "-deadline", "realtime", "-cpu-used", "8", "-pix_fmt", "yuv420p"],
        ),
        "yuv420p",
    );
    agrees(
        &clip(
            "hevc10.mkv",
            "320x180",
            &["-c:v", "libx265", "-preset", "ultrafast", "-x265-params", "log-level=none", "-pix_fmt", "yuv420p10le"],
        ),
        "yuv420p10le",
    );
    agrees(
        &clip("fragments.mp4", "320x180", &x264(&["-pix_fmt", "yuv420p", "-movflags", "frag_keyframe+empty_moov"])),
        "yuv420p",
    );
    agrees(
        &clip(
            "variable.mp4",
            "320x180",
            &x264(&["-pix_fmt", "yuv420p", "-vf", "select='not(eq(mod(n,7),3))'", "-fps_mode", "vfr"]),
        ),
        "yuv420p",
    );
    agrees(&clip("late.mkv", "320x180", &x264(&["-pix_fmt", "yuv420p", "-output_ts_offset", "3.5"])), "yuv420p");
    agrees(&clip("motion_jpeg.avi", "320x180", &["-c:v", "mjpeg", "-pix_fmt", "yuvj420p"]), "yuvj420p");
}

#[test]
fn pixels_of_other_kinds_are_converted() {
    let (frames, _) = all(&clip("rgb.mkv", "64x36", &["-c:v", "ffv1", "-pix_fmt", "gbrp"]));
    assert_eq!((frames.len(), frames[0].data.len()), (50, 64 * 36 * 4));
    let (frames, _) = all(&clip("gray.mkv", "64x36", &["-c:v", "ffv1", "-pix_fmt", "gray"]));
    assert_eq!((frames.len(), frames[0].data.len()), (50, 64 * 36 * 3));
}

#[test]
fn the_container_says_how_a_picture_is_shown() {
    let plain = clip(
        "plain.mp4",
        "320x180",
        &["-c:v", "libx264", "-preset", "ultrafast", "-pix_fmt", "yuv420p", "-vf", "setsar=4/3"],
    );
    let turned = plain.with_file_name("turned.mp4");
    let (from, to) = (plain.to_str().expect("a path"), turned.to_str().expect("a path"));
    // This asks for a turn by so much counter-clockwise.
    ffmpeg(&["-i", from, "-c", "copy", "-metadata:s:v:0", "rotate=90", to]);
    let reader = Reader::open(&plain, 1).expect("opens");
    let facts = reader.facts();
    assert_eq!((facts.width, facts.height, facts.rotation_deg, facts.frames), (427, 180, 0, 50));
    assert!((facts.duration_s - 2.0).abs() < 0.05 && facts.codec == "h264", "{facts:?}");
    let (frames, reader) = all(&turned);
    assert_eq!((reader.facts().width, reader.facts().height, reader.facts().rotation_deg), (180, 427, 270));
    let layout = &frames[0].layout;
    assert_eq!((layout.rotation_deg, layout.display_width, layout.display_height), (270, 180, 427));
}

#[test]
fn a_file_cut_off_says_what_is_missing() {
    let whole = clip(
        "whole.mp4",
        "320x180",
        &["-c:v", "libx264", "-preset", "ultrafast", "-g", "10", "-movflags", "faststart", "-pix_fmt", "yuv420p"],
    );
    let bytes = std::fs::read(&whole).expect("is there");
    let cut = whole.with_file_name("cut_off.mp4");
    std::fs::write(&cut, &bytes[..bytes.len() * 2 / 3]).expect("can be written");
    let (frames, reader) = all(&cut);
    assert!(frames.len() > 15 && frames.len() < 45, "{}", frames.len());
    assert_eq!(reader.expected(), 50, "the index lists all");
}

#[test]
fn damage_is_counted_and_decoding_goes_on() {
    let whole = clip(
        "healthy.mp4",
        "320x180",
        &["-c:v", "libx264", "-preset", "ultrafast", "-g", "10", "-movflags", "faststart", "-pix_fmt", "yuv420p"],
    );
    let mut bytes = std::fs::read(&whole).expect("is there");
    let middle = bytes.len() / 2;
    bytes[middle..middle + 20_000].fill(0);
    let damaged = whole.with_file_name("damaged.mp4");
    std::fs::write(&damaged, bytes).expect("can be written");
    let (frames, reader) = all(&damaged);
    let tally = tally(&reader);
    assert_eq!((reader.expected(), tally.frames), (50, frames.len() as u64));
    assert!(!tally.notes.is_empty(), "damage is told");
    assert!(frames.last().expect("some frames").time_s > 1.9, "the end is reached");
}

#[test]
fn a_frame_is_found_again() {
    let path = clip(
        "again.mkv",
        "320x180",
        &["-c:v", "libx264", "-preset", "medium", "-g", "12", "-x264-params", "open-gop=1", "-pix_fmt", "yuv420p"],
    );
    let (frames, mut reader) = all(&path);
    let keys_s = tally(&reader).keys_s;
    assert!(keys_s.len() > 3, "{keys_s:?}");
    // Forwards, near and far, backwards, the same again.
    for i in [0, 1, 2, 7, 30, 31, 49, 48, 3, 3, 0, 25] {
        let found = reader.find(frames[i].time_s, &keys_s).expect("goes on").expect("is there");
        assert!(found.data == frames[i].data, "frame {i}");
    }
    assert!(reader.find(1.019, &keys_s).expect("goes on").is_none(), "nothing is shown first at this time");
    assert!(reader.find(99.0, &keys_s).expect("goes on").is_none(), "the video has ended");
    assert!(reader.find(frames[5].time_s, &keys_s).expect("goes on").is_some());
    let found = reader.find(frames[2].time_s, &[]).expect("goes on").expect("is found from the start of the file");
    assert!(found.data == frames[2].data);
}

#[test]
fn what_cannot_be_read_says_why() {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("decode");
    std::fs::create_dir_all(&folder).expect("a folder");
    let error = |path: &Path| Reader::open(path, 1).err().expect("cannot be opened").to_string();
    let empty = folder.join("empty.mp4");
    std::fs::write(&empty, []).expect("can be written");
    assert!(error(&empty).contains("is empty"), "{}", error(&empty));
    // (Lines of text would be a format of their own to FFmpeg.)
    let noise = folder.join("noise.mp4");
    std::fs::write(&noise, [0x5a; 5000]).expect("can be written");
    assert!(error(&noise).contains("no video file"), "{}", error(&noise));
    let sound = folder.join("sound.wav");
    ffmpeg(&["-f", "lavfi", "-i", "sine=duration=1", sound.to_str().expect("a path")]);
    assert!(error(&sound).contains("no video track"), "{}", error(&sound));
}
