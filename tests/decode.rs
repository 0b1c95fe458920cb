//! Decoding through FFmpeg's libraries: every frame, its time and its bytes as the
//! programs `ffprobe` and `ffmpeg` give them, and honest counts of what is damaged.
#![cfg(all(feature = "ffmpeg", not(target_arch = "wasm32")))]

use framesift::decode::groups::Ended;
use framesift::decode::hardware::{self, Hardware};
use framesift::decode::{Decoded, Decoding, Reader, Tally};
use framesift::frame::Frame;
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
    all_in(path, None)
}

fn all_in(path: &Path, hardware: Option<Hardware>) -> (Vec<Decoded>, Reader) {
    let mut reader = Reader::open(path, Decoding { threads: 2, hardware }).expect("the clip opens");
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

/// The same frames come from hardware as from software, bit for bit, and videos that it does not decode from software,
/// with the reason.
#[test]
fn hardware_decodes_the_same_frames() {
    let h264 = |pixels: &'static str| ["-c:v", "libx264", "-bf", "2", "-g", "20", "-pix_fmt", pixels];
    let ten_bit = ["-c:v", "libx265", "-preset", "ultrafast", "-x265-params", "log-level=none"];
    let clips = [
        (clip("in_hardware.mp4", "320x180", &h264("yuv420p")), true),
        (clip("in_hardware.mkv", "320x180", &[&ten_bit[..], &["-pix_fmt", "yuv420p10le"]].concat()), true),
        (clip("in_hardware.webm", "320x180", &["-c:v", "libvpx-vp9", "-deadline", "realtime", "-cpu-used", "8"]), true),
        (clip("in_software.mkv", "320x180", &["-c:v", "ffv1", "-pix_fmt", "yuv420p"]), false),
        (clip("in_software.mov", "320x180", &h264("yuv444p")), false),
    ];
    for hardware in hardware::ALL {
        if let Err(reason) = hardware.check() {
            println!("skipped: {} does not decode here: {reason}", hardware.name());
            continue;
        }
        for (path, known) in &clips {
            let (theirs, reader) = all_in(path, Some(hardware));
            let (ours, _) = all(path);
            let name = path.display();
            println!("{}: {name}: {:?}", hardware.name(), reader.in_software());
            // What VAAPI knows depends on the card.
            if hardware == Hardware::Cuda {
                assert_eq!(reader.in_software().is_none(), *known, "{name}");
            }
            assert_eq!((ours.len(), tally(&reader).notes), (theirs.len(), vec![]), "{name}");
            assert_eq!(reader.expected(), ours.len() as u64, "{name}");
            let rgb =
                |frame: &Decoded| Frame::new(&frame.layout, &frame.data).expect("is whole").to_rgb().expect("rgb");
            for (ours, theirs) in ours.iter().zip(&theirs) {
                assert_eq!((ours.time_s, ours.duration_s), (theirs.time_s, theirs.duration_s), "{name}");
                assert!(rgb(ours) == rgb(theirs), "{name}: pixels at {} s", ours.time_s);
            }
        }
    }
}

/// Groups of pictures give the same frames, in order, as reading one after the other. What cannot be shared out is not,
/// and files that turn out not to be in order say so.
#[test]
fn groups_of_pictures_give_the_same_frames() {
    const THREADS: usize = 3;
    let read = |path: &Path, in_groups: bool| {
        let mut reader = Reader::open(path, Decoding { threads: 2, hardware: None }).expect("opens");
        let mut frames = Vec::new();
        let see = |frame: &Frame<'_>| {
            let mut data = Vec::new();
            Ok((frame.pack(&mut data), data))
        };
        if in_groups {
            let mut take = |_: &mut Reader, time_s: f64, duration_s: f64, seen| {
                frames.push((time_s, duration_s, seen));
                true
            };
            let ended = reader.decode_in_groups(THREADS, &see, &mut take);
            return (frames, tally(&reader), ended);
        }
        while let Some((time_s, duration_s)) = reader.next_frame() {
            frames.push((time_s, duration_s, reader.show(see).expect("is shown")));
        }
        (frames, tally(&reader), Ended::All)
    };
    let has_groups = |path: &Path| {
        let reader = Reader::open(path, Decoding { threads: 2, hardware: None }).expect("opens");
        (reader.has_groups_for(THREADS), reader.has_groups_for(1))
    };
    let x264 = ["-c:v", "libx264", "-pix_fmt", "yuv420p", "-bf", "3", "-preset", "fast", "-x264-params"];
    let closed = clip("groups.mp4", "320x180", &[&x264[..], &["keyint=4:min-keyint=2:scenecut=0"]].concat());
    let hevc = clip(
        "groups_hevc.mp4",
        "320x180",
        &["-c:v", "libx265", "-preset", "ultrafast", "-x265-params", "log-level=none:keyint=4:open-gop=0"],
    );
    let vp9 = clip(
        "groups_vp9.mp4",
        "320x180",
        &["-c:v", "libvpx-vp9", "-deadline", "realtime", "-cpu-used", "8", "-g", "4"],
    );
    // Begins within a group: an edit list cuts frames away that must still be decoded.
    let cut = closed.with_file_name("groups_cut.mp4");
    ffmpeg(&["-ss", "0.25", "-i", closed.to_str().expect("a path"), "-c", "copy", cut.to_str().expect("a path")]);
    // Frames before a key frame in time go back to what is before it in the file.
    let open = clip("groups_open.mp4", "320x180", &[&x264[..], &["keyint=4:scenecut=0:open-gop=1"]].concat());
    for path in [&closed, &hevc, &vp9, &cut, &open] {
        let name = path.display();
        assert_eq!(has_groups(path), (true, false), "{name}");
        let (ours, tally_ours, ended) = read(path, true);
        let (theirs, tally_theirs, _) = read(path, false);
        assert!(ended == Ended::All, "{name}");
        assert!(ours == theirs, "{name}: {} and {} frames", ours.len(), theirs.len());
        assert_eq!(
            (tally_ours.packets, tally_ours.frames, &tally_ours.keys_s, &tally_ours.notes),
            (tally_theirs.packets, tally_theirs.frames, &tally_theirs.keys_s, &tally_theirs.notes),
            "{name}"
        );
    }

    let long = clip("groups_long.mp4", "320x180", &[&x264[..], &["keyint=40:scenecut=0"]].concat());
    let listed_nowhere = clip("groups.mkv", "320x180", &[&x264[..], &["keyint=4"]].concat());
    for path in [&long, &listed_nowhere] {
        assert!(!has_groups(path).0, "{}", path.display());
    }
    let mut bytes = std::fs::read(&closed).expect("is there");
    let middle = bytes.len() / 2;
    bytes[middle..middle + 400].fill(0x55);
    let damaged = closed.with_file_name("groups_damaged.mp4");
    std::fs::write(&damaged, bytes).expect("a folder that can be written to");
    assert!(read(&damaged, true).2 == Ended::Disorderly);
    // Its index is in front, and says what is gone.
    let whole = closed.with_file_name("groups_whole.mp4");
    let paths = [&closed, &whole].map(|path| path.to_str().expect("a path"));
    ffmpeg(&["-i", paths[0], "-c", "copy", "-movflags", "+faststart", paths[1]]);
    let bytes = std::fs::read(&whole).expect("is there");
    let cut_off = closed.with_file_name("groups_cut_off.mp4");
    std::fs::write(&cut_off, &bytes[..bytes.len() * 9 / 10]).expect("a folder that can be written to");
    assert_eq!((has_groups(&whole).0, has_groups(&cut_off).0), (true, false));
}

#[test]
fn pixels_of_other_kinds_are_converted() {
    for (name, pixels) in [("rgb.mkv", "gbrp"), ("gray.mkv", "gray"), ("four_four_zero.mkv", "yuv440p")] {
        let path = clip(name, "64x36", &["-c:v", "ffv1", "-pix_fmt", pixels, "-vf", "gblur=sigma=12"]);
        let (frames, _) = all(&path);
        assert_eq!(frames.len(), 50, "{name}");
        let file = path.to_str().expect("an ordinary path");
        let rgb = ffmpeg(&["-i", file, "-f", "rawvideo", "-pix_fmt", "rgb24", "-sws_flags", "accurate_rnd", "-"]);
        for (frame, expected) in frames.iter().zip(rgb.chunks_exact(64 * 36 * 3)) {
            let picture = Frame::new(&frame.layout, &frame.data).expect("a frame").to_rgb().expect("a picture");
            // Blurred, as chroma may be spread in another way along edges.
            let worst = picture.as_raw().iter().zip(expected).map(|(a, b)| a.abs_diff(*b)).max();
            assert!(worst < Some(8), "{name}: {worst:?} at {} s", frame.time_s);
        }
    }
}

/// Some frames, one after the other, are those that were decoded first.
fn found_again(frames: &[Decoded], reader: &mut Reader, wanted: &[usize]) {
    let keys_s = tally(reader).keys_s;
    for &i in wanted {
        let found = reader.find(frames[i].time_s, &keys_s).expect("goes on");
        assert!(found.unwrap_or_else(|| panic!("frame {i} is there")).data == frames[i].data, "frame {i}");
    }
}

const X264: [&str; 8] = ["-c:v", "libx264", "-preset", "medium", "-g", "12", "-pix_fmt", "yuv420p"];

#[test]
fn joined_recordings_lose_no_frame() {
    let part = clip("part.ts", "320x180", &X264);
    let joined = part.with_file_name("joined.ts");
    let bytes = std::fs::read(&part).expect("is there");
    std::fs::write(&joined, [bytes.as_slice(), &bytes].concat()).expect("can be written");
    let (frames, mut reader) = all(&joined);
    assert_eq!((frames.len(), reader.expected()), (100, 100), "{:?}", tally(&reader).notes);
    assert!(frames.windows(2).all(|pair| pair[0].time_s < pair[1].time_s), "times go on");
    assert!(tally(&reader).notes.iter().any(|note| note.contains("step back")), "{:?}", tally(&reader).notes);
    found_again(&frames, &mut reader, &[3, 49, 50, 77, 99, 12]);
    // By readers that have not met the step back yet, as those that write what is chosen; frames behind it that no other
    // needs are found as well.
    let part =
        clip("part_b.ts", "320x180", &["-c:v", "libx264", "-preset", "medium", "-bf", "3", "-pix_fmt", "yuv420p"]);
    let bytes = std::fs::read(&part).expect("is there");
    std::fs::write(&joined, [bytes.as_slice(), &bytes].concat()).expect("can be written");
    let (frames, reader) = all(&joined);
    for (index, frame) in frames.iter().enumerate().skip(48).take(10) {
        let mut fresh = Reader::open(&joined, Decoding { threads: 4, hardware: None }).expect("opens");
        let found = fresh.find(frame.time_s, &tally(&reader).keys_s).expect("goes on");
        assert!(found.is_some_and(|found| found.data == frame.data), "frame {index}");
    }
}

#[test]
fn a_stream_without_a_container_is_read_and_found_again() {
    let (frames, mut reader) = all(&clip("stream.h264", "320x180", &X264));
    assert_eq!((frames.len(), reader.expected()), (50, 50), "{:?}", tally(&reader).notes);
    found_again(&frames, &mut reader, &[3, 40, 12]);
}

#[test]
fn a_colon_in_a_name_is_no_protocol() {
    let part = clip("colon.mp4", "64x36", &X264);
    let named = part.with_file_name("talk:1.mp4");
    std::fs::copy(&part, &named).expect("can be copied");
    let folder = named.parent().expect("a folder");
    let probe = Command::new(env!("CARGO_BIN_EXE_framesift"))
        .args(["scenes", "talk:1.mp4"])
        .current_dir(folder)
        .output()
        .expect("framesift runs");
    assert!(probe.status.success(), "{}", String::from_utf8_lossy(&probe.stderr));
}

#[test]
fn the_container_says_how_a_picture_is_shown() {
    let plain = clip(
        "plain.mp4",
        "320x180",
        &["-c:v", "libx264", "-preset", "ultrafast", "-pix_fmt", "yuv420p", "-vf", "setsar=4/3"],
    );
    let turned = plain.with_file_name("turned.mp4");
    // The matrix for a quarter turn counter-clockwise; how the program is told to write it depends on its version.
    let mut bytes = std::fs::read(&plain).expect("is there");
    let header = bytes.windows(4).position(|window| window == b"tkhd").expect("there is a track") + 4;
    let matrix: [i32; 9] = [0, -0x1_0000, 0, 0x1_0000, 0, 0, 0, 0, 0x4000_0000];
    for (place, value) in bytes[header + 40..].chunks_exact_mut(4).zip(matrix) {
        place.copy_from_slice(&value.to_be_bytes());
    }
    std::fs::write(&turned, bytes).expect("a folder that can be written to");
    let reader = Reader::open(&plain, Decoding { threads: 1, hardware: None }).expect("opens");
    let facts = reader.facts();
    assert_eq!((facts.width, facts.height, facts.rotation_deg, facts.frames), (427, 180, 0, 50));
    assert!((facts.duration_s - 2.0).abs() < 0.05 && facts.codec == "h264", "{facts:?}");
    // VP9 itself has no shape of pixels: only the container has.
    let vp9 =
        ["-c:v", "libvpx-vp9", "-deadline", "realtime", "-cpu-used", "8", "-pix_fmt", "yuv420p", "-aspect", "64:27"];
    let (frames, reader) = all(&clip("wide.webm", "320x180", &vp9));
    assert_eq!((reader.facts().width, reader.facts().height, frames[0].layout.display_width), (427, 180, 427));
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
fn a_picture_that_is_made_up_in_part_is_told() {
    let whole = clip(
        "sound.mp4",
        "320x180",
        &["-c:v", "libx264", "-preset", "ultrafast", "-g", "50", "-movflags", "faststart", "-pix_fmt", "yuv420p"],
    );
    let made_up = |tally: &Tally| tally.notes.iter().filter(|note| note.contains("made up")).count();
    assert_eq!(made_up(&tally(&all(&whole).1)), 0);
    let mut bytes = std::fs::read(&whole).expect("is there");
    // Within a frame's coefficients, after its header.
    let middle = bytes.len() / 2;
    bytes[middle..middle + 40].fill(0x55);
    let hurt = whole.with_file_name("hurt.mp4");
    std::fs::write(&hurt, bytes).expect("can be written");
    let (frames, reader) = all(&hurt);
    assert_eq!(frames.len(), 50, "no frame is lost");
    let told = made_up(&tally(&reader));
    assert!((1..=2).contains(&told), "{:?}", tally(&reader).notes);
}

#[test]
fn a_frame_is_found_again() {
    for name in ["again.mkv", "again.mp4", "again.ts"] {
        let (frames, mut reader) = all(&clip(name, "320x180", &[&X264[..], &["-x264-params", "open-gop=1"]].concat()));
        let keys_s = tally(&reader).keys_s;
        assert!(keys_s.len() > 3, "{name}: {keys_s:?}");
        // Forwards, near and far, backwards, the same again.
        found_again(&frames, &mut reader, &[0, 1, 2, 7, 30, 31, 49, 48, 3, 3, 0, 25]);
        let between = frames[25].time_s + 0.019;
        assert!(reader.find(between, &keys_s).expect("goes on").is_none(), "nothing is shown first at this time");
        assert!(reader.find(99.0, &keys_s).expect("goes on").is_none(), "the video has ended");
        found_again(&frames, &mut reader, &[5]);
        let found = reader.find(frames[2].time_s, &[]).expect("goes on").expect("is found from the start of the file");
        assert!(found.data == frames[2].data);
    }
}

#[test]
fn what_cannot_be_read_says_why() {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("decode");
    std::fs::create_dir_all(&folder).expect("a folder");
    let error = |path: &Path| {
        Reader::open(path, Decoding { threads: 1, hardware: None }).err().expect("cannot be opened").to_string()
    };
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
