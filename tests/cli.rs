//! The command `framesift` as its user calls it.
#![cfg(not(target_arch = "wasm32"))]

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::time::{Duration, Instant};

fn framesift(arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_framesift")).args(arguments).output().expect("framesift runs")
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).expect("output is text")
}

#[test]
fn bad_usage_ends_with_2_and_says_how_it_is_done() {
    assert_eq!(framesift(&["extrakt"]).status.code(), Some(2));
    let output = framesift(&["bench", "models/centerface.int8.onnx:640"]);
    assert_eq!(output.status.code(), Some(2));
    assert!(text(&output.stderr).contains("WIDTHxHEIGHT"), "{}", text(&output.stderr));
    let output = framesift(&["bench", "missing.onnx:64x64"]);
    assert!(text(&output.stderr).contains("cannot read missing.onnx"), "{}", text(&output.stderr));
}

#[test]
fn a_missing_fp32_file_is_named() {
    let output = framesift(&["bench", "--rounds", "1", "--fp32", "tests"]);
    assert_eq!(output.status.code(), Some(1));
    assert!(text(&output.stderr).contains("tests/centerface.fp32.onnx"), "{}", text(&output.stderr));
}

#[test]
fn doctor_says_what_there_is_and_what_to_install() {
    let output = framesift(&["doctor", "--ort-lib", "/nowhere/libonnxruntime.so"]);
    let said = text(&output.stdout);
    assert!(output.status.success(), "{said}");
    assert!(said.contains("INT8 kernels") && said.contains("scalar"), "{said}");
    assert!(said.contains("centerface.int8.onnx: every quantized node runs in INT8"), "{said}");
    assert!(said.contains("/nowhere/libonnxruntime.so"), "{said}");
    assert!(said.contains("decodes h264, hevc") && said.contains("libavcodec"), "{said}");
    let damaged = framesift(&["doctor", "Cargo.toml"]);
    assert_eq!(damaged.status.code(), Some(1));
    assert!(text(&damaged.stderr).contains("not an ONNX file"), "{}", text(&damaged.stderr));
}

#[test]
fn bench_measures_the_built_in_pack() {
    let output = framesift(&["bench", "--rounds", "1", "--json", "--ort-lib", "/nowhere/libonnxruntime.so"]);
    assert!(output.status.success(), "{}", text(&output.stderr));
    let report: serde_json::Value = serde_json::from_slice(&output.stdout).expect("one JSON object");
    assert!(report["onnxruntime"].is_null());
    assert!(report["onnxruntime_error"].as_str().expect("a reason").contains("/nowhere/"), "{report}");
    let networks = report["networks"].as_array().expect("networks");
    assert_eq!(networks.len(), 3);
    for network in networks {
        let timing = &network["timings"][0];
        assert!(timing["ms"].as_f64().expect("a time") > 0.0);
        let share = timing["peak_share"].as_f64();
        assert!(share.is_none_or(|share| share > 0.0), "{timing}");
    }
}

/// An empty folder of a test's own.
fn folder(name: &str) -> PathBuf {
    let path = Path::new(env!("CARGO_TARGET_TMPDIR")).join("cli").join(name);
    // It is there only from a run before.
    let _ = std::fs::remove_dir_all(&path);
    std::fs::create_dir_all(&path).expect("a folder");
    path
}

/// A clip of three shots, `seconds` long each: a moving pattern, bars, and a photo of people under a slow zoom.
fn clip(path: &Path, seconds: u32) {
    let photo = "node_modules/@vladmandic/face-api/demo/sample6.jpg";
    let length = seconds.to_string();
    let pattern = format!("testsrc2=size=640x360:rate=25:duration={seconds}");
    let bars = format!("smptehdbars=size=640x360:rate=25:duration={seconds}");
    let people = format!(
        "[2]scale=1280:720,zoompan=z='1+0.002*on':d=25*{seconds}:s=640x360:fps=25,trim=duration={seconds},setsar=1[p]"
    );
    let filter =
        format!("{people};[0]format=yuv420p[a];[1]format=yuv420p[b];[p]format=yuv420p[c];[a][b][c]concat=n=3[v]");
    let output = Command::new("ffmpeg")
        .args(["-v", "error", "-y", "-f", "lavfi", "-i", &pattern, "-f", "lavfi", "-i", &bars])
        .args(["-loop", "1", "-t", &length, "-i", photo, "-filter_complex", &filter, "-map", "[v]"])
        .args(["-c:v", "libx264", "-preset", "ultrafast", "-pix_fmt", "yuv420p"])
        .arg(path)
        .output()
        .expect("ffmpeg runs");
    assert!(output.status.success(), "{}", text(&output.stderr));
}

/// A clip of eight seconds with a key frame every eight frames.
fn clip_of_groups(path: &Path) {
    let output = Command::new("ffmpeg")
        .args(["-v", "error", "-y", "-f", "lavfi", "-i", "testsrc2=size=320x180:rate=25:duration=8", "-c:v", "libx264"])
        .args(["-g", "8", "-pix_fmt", "yuv420p"])
        .arg(path)
        .output()
        .expect("ffmpeg runs");
    assert!(output.status.success(), "{}", text(&output.stderr));
}

fn path(path: &Path) -> &str {
    path.to_str().expect("an ordinary path")
}

fn json(path: &Path) -> serde_json::Value {
    serde_json::from_slice(&std::fs::read(path).expect("is written")).expect("is JSON")
}

/// Whether networks may run on a GPU here.
fn gpu() -> bool {
    Path::new("/dev/nvidiactl").exists()
}

/// Every file below a folder, by its path in it.
fn files(folder: &Path) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    for entry in std::fs::read_dir(folder).expect("a folder").map(|entry| entry.expect("an entry").path()) {
        let name = entry.file_name().expect("a name").to_string_lossy().into_owned();
        match entry.is_dir() {
            true => found.extend(files(&entry).into_iter().map(|inner| format!("{name}/{inner}"))),
            false => _ = found.insert(name),
        }
    }
    found
}

#[test]
fn a_video_becomes_a_folder_of_frames_and_faces() {
    let folder = folder("extract");
    let video = folder.join("shots.mp4");
    clip(&video, 3);
    let out = folder.join("out");
    let output =
        framesift(&["extract", path(&video), "--out", path(&out), "--budget", "30", "--json", "--progress", "jsonl"]);
    assert!(output.status.success(), "{}", text(&output.stderr));
    let told: serde_json::Value = serde_json::from_slice(&output.stdout).expect("one JSON object");
    assert_eq!(
        (&told["frames_decoded"], &told["frames_missing"], &told["scenes"]),
        (&225.into(), &0.into(), &3.into())
    );
    assert!(told["peak_rss_bytes"].as_u64().expect("a number") > 10_000_000);
    let progress = text(&output.stderr);
    let lines: Vec<serde_json::Value> =
        progress.lines().map(|line| serde_json::from_str(line).expect("a JSON object a line")).collect();
    assert!(lines[0]["note"].as_str().is_some_and(|note| note.contains("on the CPU")) || gpu(), "{}", lines[0]);
    for stage in ["scan", "write"] {
        let last = lines.iter().rfind(|line| line["stage"] == stage).expect("every stage is told");
        assert_eq!(last["done"], last["total"], "{last}");
    }

    let manifest = json(&out.join("manifest.json"));
    assert_eq!(
        (manifest["tool"]["build"].as_str(), manifest["video"]["name"].as_str()),
        (Some("native"), Some("shots.mp4"))
    );
    let frames = manifest["frames"].as_array().expect("frames");
    assert!((3..=30).contains(&frames.len()), "{}", frames.len());
    let mut expected: BTreeSet<String> = ["manifest.json", "scenes.csv"].map(String::from).into();
    for frame in frames {
        let index = frame["index"].as_u64().expect("an index");
        assert!((frame["time_s"].as_f64().expect("a time") - index as f64 / 25.0).abs() < 1e-6);
        expected.insert(frame["file"].as_str().expect("a file").into());
        for face in frame["faces"].as_array().expect("faces") {
            assert!(index >= 150, "people are in the third shot only");
            assert!(face.get("embedding").is_none(), "biometric data only when asked for");
            expected.insert(face["crop"].as_str().expect("a file").into());
        }
    }
    assert!(expected.iter().any(|file| file.starts_with("faces/")), "faces are found");
    assert_eq!(files(&out), expected, "what the manifest names is there, and nothing else");
    let picture = image::open(out.join(frames[0]["file"].as_str().expect("a file"))).expect("a JPEG");
    assert_eq!((picture.width(), picture.height()), (640, 360));

    let scenes = framesift(&["scenes", path(&video)]);
    assert!(scenes.status.success(), "{}", text(&scenes.stderr));
    assert_eq!(text(&scenes.stdout), std::fs::read_to_string(out.join("scenes.csv")).expect("is written"));
    let scenes = framesift(&["scenes", path(&video), "--json", "--detector", "content"]);
    let scenes: serde_json::Value = serde_json::from_slice(&scenes.stdout).expect("JSON");
    assert_eq!(scenes.as_array().map(Vec::len), Some(3));

    // What is there is not overwritten.
    let again = framesift(&["extract", path(&video), "--out", path(&out)]);
    assert_eq!(again.status.code(), Some(2));
    assert!(text(&again.stderr).contains("must be new or empty"), "{}", text(&again.stderr));
}

#[test]
fn one_bad_file_does_not_stop_the_rest() {
    let folder = folder("several");
    clip(&folder.join("good.mp4"), 1);
    std::fs::write(folder.join("bad.mp4"), [0x5a; 3000]).expect("can be written");
    std::fs::write(folder.join("empty.mkv"), []).expect("can be written");
    std::fs::write(folder.join("notes.txt"), "no video").expect("can be written");
    let out = folder.join("out");
    let output = framesift(&["extract", path(&folder), "--out", path(&out), "--faces", "ignore"]);
    let said = text(&output.stderr);
    assert_eq!(output.status.code(), Some(1), "{said}");
    assert!(said.contains("bad.mp4 is no video file") && said.contains("empty.mkv is empty"), "{said}");
    assert!(said.contains("2 of 3 videos failed"), "{said}");
    assert!(json(&out.join("good/manifest.json"))["frames"].as_array().is_some_and(|frames| !frames.is_empty()));
    assert!(text(&output.stdout).contains("75 of 75 frames decoded, 0 missing"), "{}", text(&output.stdout));
    assert!(!out.join("bad").exists(), "no empty folders stay behind");
    let nowhere = framesift(&["extract", path(&folder.join("good.mp4")), "--out", "/proc/nowhere/out"]);
    assert_eq!(nowhere.status.code(), Some(1));
    assert!(text(&nowhere.stderr).contains("cannot be written to /proc/nowhere/out"), "{}", text(&nowhere.stderr));
    for (arguments, why) in [
        (vec!["extract", "missing.mp4", "--out", "/tmp/x"], "there is no file missing.mp4"),
        (vec!["extract", "a.mp4", "--out", "/tmp/x", "--similarity", "2"], "from 0 to 1"),
        (vec!["extract", "a.mp4", "--out", "/tmp/x", "--faces", "all"], "prefer"),
        (vec!["scenes", "a.mp4", "--detector", "magic"], "adaptive"),
        (vec!["scenes", "a.mp4", "--detector", "hash", "--sensitivity", "low"], "default detector"),
    ] {
        let output = framesift(&arguments);
        assert_eq!(output.status.code(), Some(2), "{arguments:?}");
        assert!(text(&output.stderr).contains(why), "{arguments:?}: {}", text(&output.stderr));
    }
}

#[test]
fn a_cancelled_job_ends_soon_and_leaves_no_manifest() {
    let folder = folder("cancel");
    let video = folder.join("long.mp4");
    clip(&video, 20);
    let out = folder.join("out");
    let mut job = Command::new(env!("CARGO_BIN_EXE_framesift"))
        .args(["extract", path(&video), "--out", path(&out), "--progress", "jsonl", "--workers", "1"])
        .stderr(Stdio::piped())
        .spawn()
        .expect("framesift runs");
    // The first line says that it has begun.
    let mut stderr = std::io::BufReader::new(job.stderr.take().expect("is piped"));
    let mut line = String::new();
    while !line.contains("scan") {
        assert!(std::io::BufRead::read_line(&mut stderr, &mut line).expect("says something") > 0, "{line}");
    }
    let interrupt = Command::new("kill").args(["-INT", &job.id().to_string()]).status().expect("kill runs");
    assert!(interrupt.success());
    let signalled = Instant::now();
    let mut rest = String::new();
    std::io::Read::read_to_string(&mut stderr, &mut rest).expect("ends");
    assert_eq!(job.wait().expect("has ended").code(), Some(130), "{rest}");
    assert!(signalled.elapsed() < Duration::from_secs(10), "{:?}", signalled.elapsed());
    assert!(rest.contains("cancelled"), "{rest}");
    assert_eq!(rest.contains("go on with --resume"), out.exists(), "what is kept is told: {rest}");
    assert!(!out.join("manifest.json").exists());
}

/// A manifest without what differs from run to run.
fn result(folder: &Path) -> serde_json::Value {
    let mut manifest = json(&folder.join("manifest.json"));
    manifest.as_object_mut().expect("an object").remove("timings_s");
    manifest
}

/// Begins a job in `out` and kills it when its journal has this many bytes, or when it has ended.
fn killed(arguments: &[&str], out: &Path, journal_bytes: u64) {
    let mut job = Command::new(env!("CARGO_BIN_EXE_framesift")).args(arguments).spawn().expect("framesift runs");
    let journal = out.join(".framesift-scan");
    let started = Instant::now();
    while std::fs::metadata(&journal).map_or(0, |facts| facts.len()) < journal_bytes {
        assert!(started.elapsed() < Duration::from_secs(120), "the journal does not grow");
        if job.try_wait().expect("can be asked").is_some() {
            return;
        }
        std::thread::sleep(Duration::from_millis(2));
    }
    job.kill().expect("can be killed");
    job.wait().expect("has ended");
}

/// Runs a job whole, and once more in parts: killed each time that its journal has grown by so many bytes. Returns the two
/// folders.
fn whole_and_in_parts(folder: &Path, video: &Path, options: &[&str], steps: &[u64]) -> [PathBuf; 2] {
    let [whole, parts] = ["whole", "parts"].map(|name| folder.join(name));
    let job = |out: &Path| {
        let fixed = ["extract", path(video), "--out", path(out), "--budget", "40", "--device", "cpu", "--resume"];
        fixed.iter().chain(options).map(|argument| argument.to_string()).collect::<Vec<_>>()
    };
    let run = |arguments: &[String]| framesift(&arguments.iter().map(String::as_str).collect::<Vec<_>>());
    let output = run(&job(&whole));
    assert!(output.status.success(), "{}", text(&output.stderr));
    let arguments = job(&parts);
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let mut last = 0;
    for step in steps {
        killed(&arguments, &parts, last + step);
        let now = std::fs::metadata(parts.join(".framesift-scan")).map_or(u64::MAX, |facts| facts.len());
        assert!(now >= last, "what was recorded is kept: {now} of {last} bytes");
        last = now;
        if parts.join("manifest.json").exists() {
            break;
        }
    }
    assert!(last > 0, "it was killed before it had ended");
    [whole, parts]
}

#[test]
fn a_killed_job_goes_on_to_the_same_result() {
    let folder = folder("resume");
    let video = folder.join("shots.mp4");
    clip(&video, 8);
    let [whole, out] = whole_and_in_parts(&folder, &video, &[], &[20_000, 1, 30_000]);
    let run = |out: &Path, more: &[&str]| {
        let fixed = ["extract", path(&video), "--out", path(out), "--budget", "40", "--device", "cpu"];
        framesift(&fixed.iter().chain(more).copied().collect::<Vec<_>>())
    };
    assert!(!out.join("manifest.json").exists(), "it is not done yet");
    // As if the power had gone while an entry was being written, and while a file was; and something of the user's own.
    let mut journal = std::fs::OpenOptions::new().append(true).open(out.join(".framesift-scan")).expect("is there");
    std::io::Write::write_all(&mut journal, &[200, 1, 0, 0, 7, 7, 7, 7, 1, 2, 3]).expect("can be written");
    std::fs::create_dir_all(out.join("frames/scene_001")).expect("can be made");
    for name in
        ["frames/000001_0.040s.jpg.part", "frames/scene_001/000001_0.040s.png", "frames/my own.jpg", "coco.json"]
    {
        std::fs::write(out.join(name), "half").expect("can be written");
    }
    let refused = run(&out, &[]);
    assert_eq!(refused.status.code(), Some(2));
    assert!(text(&refused.stderr).contains("go on with --resume"), "{}", text(&refused.stderr));
    let refused = run(&out, &["--resume", "--budget", "41"]);
    assert_eq!(refused.status.code(), Some(1));
    assert!(text(&refused.stderr).contains("other options (budget was 40)"), "{}", text(&refused.stderr));
    assert!(out.join("coco.json").exists(), "what is refused changes nothing");
    let output = run(&out, &["--resume"]);
    assert!(output.status.success(), "{}", text(&output.stderr));
    assert_eq!(result(&out), result(&whole));
    std::fs::remove_file(out.join("frames/my own.jpg")).expect("it is still there");
    assert_eq!(files(&out), files(&whole));
    let again = run(&out, &["--resume"]);
    assert!(again.status.success() && text(&again.stderr).contains("done already"), "{}", text(&again.stderr));
    let others = run(&out, &["--resume", "--format", "png"]);
    assert_eq!(others.status.code(), Some(1));
    assert!(text(&others.stderr).contains("the result of other options"), "{}", text(&others.stderr));
    // Another video of the same name.
    clip(&video, 1);
    let other = run(&out, &["--resume"]);
    assert!(text(&other.stderr).contains("another video of this name"), "{}", text(&other.stderr));
}

/// Measures that look back to the frame before, a stream without an index, times that step back, and groups of pictures.
#[test]
fn other_detectors_and_streams_go_on_as_well() {
    let folder = folder("resume-others");
    let video = folder.join("shots.mp4");
    clip(&video, 6);
    let joined = folder.join("joined.ts");
    let stream = folder.join("one.ts");
    let copied = Command::new("ffmpeg")
        .args(["-v", "error", "-y", "-i", path(&video), "-c", "copy", path(&stream)])
        .status()
        .expect("ffmpeg runs");
    assert!(copied.success());
    let bytes = std::fs::read(&stream).expect("is written");
    std::fs::write(&joined, [bytes.as_slice(), bytes.as_slice()].concat()).expect("can be written");
    let groups = folder.join("groups.mp4");
    clip_of_groups(&groups);
    for (name, video, options) in [
        ("groups", &groups, vec!["--faces", "ignore"]),
        ("content", &video, vec!["--faces", "ignore", "--detector", "content"]),
        ("hash", &video, vec!["--faces", "ignore", "--detector", "hash"]),
        ("joined", &joined, vec!["--faces", "ignore"]),
    ] {
        let folder = folder.join(name);
        let [whole, parts] = whole_and_in_parts(&folder, video, &options, &[6_000, 5_000, 40_000]);
        let fixed = ["extract", path(video), "--out", path(&parts), "--budget", "40", "--device", "cpu", "--resume"];
        let output = framesift(&fixed.iter().chain(&options).copied().collect::<Vec<_>>());
        assert!(output.status.success(), "{name}: {}", text(&output.stderr));
        assert_eq!(result(&parts), result(&whole), "{name}");
    }
}

#[test]
fn frames_of_one_person_in_another_format() {
    let folder = folder("reference");
    let video = folder.join("shots.mp4");
    clip(&video, 3);
    let all = folder.join("all");
    let output = framesift(&["extract", path(&video), "--out", path(&all), "--budget", "20", "--device", "cpu"]);
    assert!(output.status.success(), "{}", text(&output.stderr));
    let first = json(&all.join("manifest.json"))["people"][1]["best"].as_str().expect("a second person").to_string();
    let photo = all.join(first);
    let out = folder.join("out");
    let pattern = folder.join("sh*.mp4");
    let output = framesift(&[
        "extract",
        path(&pattern),
        "--out",
        path(&out),
        "--budget",
        "20",
        "--device",
        "cpu",
        "--reference",
        path(&photo),
        "--format",
        "webp",
        "--crops",
        "arcface112",
        "--quality",
        "60",
        "--max-side",
        "100",
    ]);
    assert!(output.status.success(), "{}", text(&output.stderr));
    let manifest = json(&out.join("manifest.json"));
    assert_eq!(manifest["options"]["faces"], "require");
    assert_eq!((&manifest["options"]["quality"], &manifest["options"]["max_side_px"]), (&60.into(), &100.into()));
    let frames = manifest["frames"].as_array().expect("frames");
    assert!(!frames.is_empty());
    for frame in frames {
        let faces = frame["faces"].as_array().expect("faces");
        let cosines = faces.iter().map(|face| face["reference_cosine"].as_f64().expect("a cosine"));
        assert!(cosines.fold(-1.0, f64::max) > 0.45, "{frame}");
        assert!(frame["file"].as_str().is_some_and(|file| file.ends_with("s.webp")), "{frame}");
        let bytes = std::fs::read(out.join(frame["file"].as_str().expect("a file"))).expect("is written");
        assert_eq!((&bytes[..4], &bytes[8..12]), (&b"RIFF"[..], &b"WEBP"[..]));
        // Of a file with losses: 14 bits each, after the key frame's start code.
        assert_eq!((&bytes[12..16], &bytes[23..26]), (&b"VP8 "[..], &b"\x9d\x01\x2a"[..]));
        assert_eq!(u16::from_le_bytes([bytes[26], bytes[27]]) & 0x3fff, 100);
    }
    // The same photo the other way round: everyone but them.
    let others = folder.join("others");
    let output = framesift(&[
        "extract",
        path(&video),
        "--out",
        path(&others),
        "--budget",
        "20",
        "--device",
        "cpu",
        "--avoid",
        path(&photo),
    ]);
    assert!(output.status.success(), "{}", text(&output.stderr));
    let manifest = json(&others.join("manifest.json"));
    assert_eq!(manifest["options"]["avoid"][0].as_str(), photo.file_name().and_then(|name| name.to_str()));
    let kept = manifest["frames"].as_array().expect("frames");
    assert!(!kept.is_empty());
    for frame in kept {
        assert!(frames.iter().all(|with| with["index"] != frame["index"]), "{frame}");
        let faces = frame["faces"].as_array().expect("faces");
        assert!(faces.iter().all(|face| face["avoid_cosine"].as_f64().expect("a cosine") < 0.45), "{frame}");
    }
    let rejected = manifest["rejected"].as_array().expect("candidates");
    assert!(rejected.iter().any(|candidate| candidate["reason"] == "unwanted_person"));
    // Who is on no photo is not looked for, and a pattern without match is bad usage.
    let bars = "tests/fixtures/pyscenedetect/make.py";
    let refused = framesift(&["extract", path(&video), "--out", path(&folder.join("x")), "--reference", bars]);
    assert_eq!(refused.status.code(), Some(1));
    assert!(text(&refused.stderr).contains("make.py: cannot be read"), "{}", text(&refused.stderr));
    let refused = framesift(&["extract", path(&folder.join("no*.mp4")), "--out", path(&folder.join("x"))]);
    assert_eq!(refused.status.code(), Some(2));
    assert!(text(&refused.stderr).contains("nothing matches"), "{}", text(&refused.stderr));
}

#[test]
fn faces_in_images_are_told_a_line_each() {
    let photo = "node_modules/@vladmandic/face-api/demo/sample6.jpg";
    let output = framesift(&["faces", photo, "Cargo.toml"]);
    assert_eq!(output.status.code(), Some(1));
    assert!(text(&output.stderr).contains("Cargo.toml cannot be read"), "{}", text(&output.stderr));
    let told: serde_json::Value = serde_json::from_slice(&output.stdout).expect("one line of JSON");
    let faces = told["faces"].as_array().expect("faces");
    assert_eq!(faces.len(), 4);
    assert!(faces[0].get("embedding").is_none() && faces[0]["pose"]["yaw_deg"].is_number(), "{}", faces[0]);
    // A camera held sideways: the same photo turned back by its orientation, under a name without an ending.
    let folder = folder("sideways");
    let sideways = folder.join("photo");
    let mut jpeg = Vec::new();
    let turned = image::open(photo).expect("a photo").rotate270().into_rgb8();
    image::codecs::jpeg::JpegEncoder::new_with_quality(&mut jpeg, 95).encode_image(&turned).expect("encodes");
    // "Exif", a TIFF header and one entry: orientation (0x112) 6, to be turned right.
    let exif = b"Exif\0\0MM\0*\0\0\0\x08\0\x01\x01\x12\0\x03\0\0\0\x01\0\x06\0\0\0\0\0\0";
    let marker = [&[0xff, 0xe1, 0, exif.len() as u8 + 2], exif.as_slice()].concat();
    jpeg.splice(2..2, marker);
    std::fs::write(&sideways, jpeg).expect("can be written");
    let output = framesift(&["faces", path(&sideways)]);
    let turned: serde_json::Value = serde_json::from_slice(&output.stdout).expect("one line of JSON");
    assert_eq!((&turned["width"], &turned["height"]), (&told["width"], &told["height"]));
    assert_eq!(turned["faces"].as_array().map(Vec::len), Some(4));
    let output = framesift(&["faces", photo, "--embeddings"]);
    let told: serde_json::Value = serde_json::from_slice(&output.stdout).expect("one line of JSON");
    assert_eq!(told["faces"][0]["embedding"].as_array().map(Vec::len), Some(192));
}

#[test]
fn options_come_from_the_command_line_then_variables_then_a_file() {
    let folder = folder("config");
    let video = folder.join("shots.mp4");
    clip(&video, 1);
    let config = folder.join("config.toml");
    std::fs::write(&config, "budget = 7\nfaces = \"ignore\"\nsimilarity = 0.9\njson = true\n").expect("can be written");
    let run = |name: &str, more: &[&str], variables: &[(&str, &str)]| {
        let out = folder.join(name);
        let arguments = [&["extract", path(&video), "--config", path(&config), "--out", path(&out)], more].concat();
        let output = Command::new(env!("CARGO_BIN_EXE_framesift"))
            .args(arguments)
            .envs(variables.iter().copied())
            .output()
            .expect("framesift runs");
        assert!(output.status.success(), "{}", text(&output.stderr));
        assert!(text(&output.stdout).starts_with('{'), "`json = true` counts");
        json(&out.join("manifest.json"))["options"].clone()
    };
    let options = run("file", &[], &[]);
    assert_eq!((options["budget"].as_u64(), options["faces"].as_str()), (Some(7), Some("ignore")));
    assert!((options["similarity"].as_f64().expect("a number") - 0.9).abs() < 1e-6);
    assert_eq!(run("variable", &[], &[("FRAMESIFT_BUDGET", "5")])["budget"], 5);
    assert_eq!(run("flag", &["--budget", "3"], &[("FRAMESIFT_BUDGET", "5")])["budget"], 3);

    for (content, why) in [
        ("bugdet = 7", "no option `bugdet`"),
        ("budget = \"many\"", "'many'"),
        ("budget = [1]", "kind"),
        ("budget", "config.toml"),
    ] {
        std::fs::write(&config, content).expect("can be written");
        let out = folder.join("never");
        let output = framesift(&["extract", path(&video), "--config", path(&config), "--out", path(&out)]);
        assert_eq!(output.status.code(), Some(2), "{content}");
        assert!(text(&output.stderr).contains(why), "{content}: {}", text(&output.stderr));
        assert!(!out.exists());
    }
}

/// A job, and what doctor says, go on to their end where nobody listens any more, as behind `| head`.
#[test]
fn nobody_has_to_listen() {
    let folder = folder("unheard");
    let (video, out) = (folder.join("shots.mp4"), folder.join("out"));
    clip(&video, 1);
    let unheard = |arguments: &[&str]| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_framesift"));
        let mut child =
            command.args(arguments).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("framesift runs");
        let closed = (child.stdout.take(), child.stderr.take());
        drop(closed);
        child.wait().expect("it ends")
    };
    assert!(unheard(&["doctor"]).success());
    let status =
        unheard(&["extract", path(&video), "--out", path(&out), "--faces", "ignore", "--progress", "jsonl", "--json"]);
    // That the result could not be told is all that failed.
    assert_eq!((status.code(), out.join(".framesift-scan").exists()), (Some(1), false));
    assert!(json(&out.join("manifest.json"))["frames"].as_array().is_some_and(|frames| !frames.is_empty()));
}

/// What is decoded in groups of pictures until damage is met begins again, and says of the damage what it always does.
#[test]
fn damage_between_many_key_frames_is_told_once() {
    let folder = folder("damaged_groups");
    let (video, damaged) = (folder.join("keys.mp4"), folder.join("damaged.mp4"));
    clip_of_groups(&video);
    let mut bytes = std::fs::read(&video).expect("is there");
    let middle = bytes.len() / 2;
    bytes[middle..middle + 3000].fill(0x55);
    std::fs::write(&damaged, bytes).expect("a folder that can be written to");
    let told = |video: &Path, name: &str| {
        let out = folder.join(name);
        let output = framesift(&["extract", path(video), "--out", path(&out), "--faces", "ignore"]);
        assert!(output.status.success(), "{}", text(&output.stderr));
        let restarts = text(&output.stderr).matches("it is begun again").count();
        (json(&out.join("manifest.json"))["video"].clone(), restarts)
    };
    let (whole, restarts) = told(&video, "whole");
    assert_eq!(restarts, 0);
    assert_eq!(
        (&whole["frames_decoded"], &whole["frames_missing"], &whole["notes"]),
        (&200.into(), &0.into(), &serde_json::json!([]))
    );
    let (hurt, restarts) = told(&damaged, "hurt");
    // With one processor nothing is shared out.
    assert_eq!(restarts, usize::from(std::thread::available_parallelism().expect("is known").get() > 1));
    let count = |name: &str| hurt[name].as_u64().expect("a number");
    assert_eq!((count("frames_expected"), count("frames_decoded") + count("frames_missing")), (200, 200));
    let notes: Vec<&str> = hurt["notes"].as_array().expect("a list").iter().filter_map(|note| note.as_str()).collect();
    assert!(notes.iter().any(|note| note.contains("decoding failed") || note.contains("damaged")), "{notes:?}");
    assert_eq!(notes.iter().filter(|note| note.contains("frames are missing")).count(), 1, "{notes:?}");
}

#[test]
fn a_dry_run_writes_nothing() {
    let folder = folder("dry");
    let video = folder.join("shots.mp4");
    clip(&video, 1);
    let out = folder.join("out");
    let output = framesift(&["extract", path(&video), "--out", path(&out), "--dry-run"]);
    assert!(output.status.success(), "{}", text(&output.stderr));
    let said = text(&output.stdout);
    assert!(said.contains("640 × 360, h264, 3.0 s, about 75 frames") && said.contains(path(&out)), "{said}");
    assert!(!out.exists());
}

#[test]
fn the_manual_and_completions_know_every_subcommand() {
    let folder = folder("man");
    assert!(framesift(&["man", "--out", path(&folder)]).status.success());
    let completions = text(&framesift(&["completions", "bash"]).stdout);
    for name in ["extract", "scenes", "faces", "doctor", "bench"] {
        let page = std::fs::read_to_string(folder.join(format!("framesift-{name}.1"))).expect("a page");
        assert!(page.contains("OPTIONS"), "{name}");
        assert!(completions.contains(name), "{name}");
    }
    assert!(std::fs::read_to_string(folder.join("framesift-extract.1")).expect("a page").contains("budget"));
}
