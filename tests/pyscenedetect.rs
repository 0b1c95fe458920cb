//! The cuts of PySceneDetect's detectors, which `fixtures/pyscenedetect/make.py` took from it.
#![cfg(not(target_arch = "wasm32"))]

use framesift::frame::{Frame, FrameLayout};
use framesift::sampling::Detector;
use framesift::sampling::pyscenedetect::{Meter, cuts, same_numbers};
use serde::Deserialize;
use std::collections::BTreeMap;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

#[derive(Deserialize)]
struct Fixture {
    detectors: BTreeMap<String, Detector>,
    /// Per clip and detector.
    clips: BTreeMap<String, BTreeMap<String, Vec<usize>>>,
}

fn ffprobe(video: &Path, entries: &str) -> String {
    let arguments = ["-v", "error", "-select_streams", "v:0", "-of", "csv=p=0", "-show_entries", entries];
    let output = Command::new("ffprobe").args(arguments).arg(video).output().expect("ffprobe runs");
    String::from_utf8(output.stdout).expect("ffprobe writes text")
}

/// Calls `f` with all frames in 4:2:0, and returns their times in seconds.
fn decode(video: &Path, mut f: impl FnMut(&Frame<'_>)) -> Vec<f64> {
    let size = ffprobe(video, "stream=width,height");
    let mut sides = size.trim().split(',').map(|side| side.parse::<usize>().expect("a number"));
    let (width, height) = (sides.next().expect("a width"), sides.next().expect("a height"));
    let mut ffmpeg = Command::new("ffmpeg")
        .args(["-v", "error", "-i"])
        .arg(video)
        .args(["-fps_mode", "passthrough", "-f", "rawvideo", "-pix_fmt", "yuv420p", "-"])
        .stdout(Stdio::piped())
        .spawn()
        .expect("ffmpeg runs");
    let mut stdout = ffmpeg.stdout.take().expect("is piped");
    let layout = FrameLayout::i420(width, height);
    let mut data = vec![0; FrameLayout::i420_len(width, height)];
    while stdout.read_exact(&mut data).is_ok() {
        f(&Frame::new(&layout, &data).expect("a whole frame"));
    }
    assert!(ffmpeg.wait().expect("ffmpeg ends").success());
    let times = ffprobe(video, "frame=best_effort_timestamp_time");
    // Some frames have side data in further columns.
    let time = |line: &str| line.split(',').next().and_then(|time| time.parse().ok());
    times.lines().filter_map(time).collect()
}

/// Compares all detectors of the fixture over a clip; returns what differs.
fn differences(fixture: &Fixture, video: &Path, expected: &BTreeMap<String, Vec<usize>>) -> Vec<String> {
    // Detectors that differ in thresholds only share a meter.
    let mut meters: Vec<(&Detector, Meter, Vec<f32>)> = Vec::new();
    for detector in fixture.detectors.values() {
        if !meters.iter().any(|(other, ..)| same_numbers(other, detector)) {
            let meter = Meter::new(detector).expect("has good parameters").expect("is of PySceneDetect");
            meters.push((detector, meter, Vec::new()));
        }
    }
    let times_s = decode(video, |frame| {
        for (_, meter, values) in &mut meters {
            values.push(meter.measure(frame) as f32);
        }
    });
    let mut found = Vec::new();
    for (name, detector) in &fixture.detectors {
        let (.., values) = meters.iter().find(|(other, ..)| same_numbers(other, detector)).expect("was made");
        assert_eq!(values.len(), times_s.len(), "every frame has a time");
        let ours = cuts(detector, &times_s, values);
        if ours != expected[name] {
            let without = |a: &[usize], b: &[usize]| a.iter().filter(|x| !b.contains(x)).copied().collect::<Vec<_>>();
            let measured = |frames: Vec<usize>| frames.into_iter().map(|f| (f, values[f])).collect::<Vec<_>>();
            found.push(format!(
                "{}, {name}: missing {:?}, too many {:?}",
                video.display(),
                measured(without(&expected[name], &ours)),
                measured(without(&ours, &expected[name]))
            ));
        }
    }
    found
}

fn fixture() -> Fixture {
    let text = std::fs::read_to_string("tests/fixtures/pyscenedetect/cuts.json").expect("the fixture is there");
    serde_json::from_str(&text).expect("the fixture is understood")
}

#[test]
fn the_same_cuts_in_the_clip() {
    let fixture = fixture();
    let clip = Path::new("tests/fixtures/pyscenedetect/clip.mp4");
    let found = differences(&fixture, clip, &fixture.clips["clip.mp4"]);
    assert!(found.is_empty(), "{}", found.join("\n"));
}

/// Over those of the fixture's clips that are there and whose name begins with `prefix`.
fn compare_clips(prefix: &str) {
    let fixture = fixture();
    let (mut compared, mut found) = (0, Vec::new());
    for (name, expected) in fixture.clips.iter().filter(|(name, _)| name.starts_with(prefix)) {
        let video = PathBuf::from("../shared/media").join(name);
        if video.exists() {
            compared += expected.len();
            found.extend(differences(&fixture, &video, expected));
        }
    }
    if compared == 0 {
        eprintln!("skipped: the clips are not there");
    }
    assert!(found.is_empty(), "{} of {compared} differ:\n{}", found.len(), found.join("\n"));
}

#[test]
fn the_same_cuts_in_short_clips() {
    compare_clips("n_");
}

#[test]
#[ignore = "takes minutes"]
fn the_same_cuts_in_montages() {
    compare_clips("dev_");
}

#[test]
fn parameters_without_sense_are_refused_by_name() {
    for (json, name) in [
        (r#"{"name":"hash","size":64}"#, "size"),
        (r#"{"name":"hash","lowpass":0}"#, "lowpass"),
        (r#"{"name":"hist","bins":0}"#, "bins"),
        (r#"{"name":"adaptive","frame_window":0}"#, "frame_window"),
        (r#"{"name":"content","kernel_size":4}"#, "kernel_size"),
    ] {
        let detector: Detector = serde_json::from_str(json).expect("is understood");
        let error = Meter::new(&detector).err().expect("is refused").to_string();
        assert!(error.contains(name), "{error}");
    }
    assert!(serde_json::from_str::<Detector>(r#"{"name":"content","treshold":3}"#).is_err());
}
