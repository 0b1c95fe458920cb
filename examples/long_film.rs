//! Records and time of long videos, by a generated stream of small pictures with shots, movement
//! and faces:
//!
//! ```sh
//! cargo run --release --example long_film -- 15000 54000 216000 216000:3000
//! ```
//!
//! Prints, for each number of frames (at 30 a second) and budget (500 if none is named): bytes of all records and per frame, seconds
//! of the scan, and milliseconds of a choice with faces preferred.

use framesift::faces::Face;
use framesift::faces::pack::Pack;
use framesift::frame::{Frame, FrameLayout};
use framesift::manifest::{Options, Video};
use framesift::pipeline::{Measurer, Session};
use std::error::Error;
use std::time::Instant;

const FRAMES_PER_S: f64 = 30.0;
const WIDTH: usize = 64;
const HEIGHT: usize = 36;

/// Numbers that look random, the same in every run (Knuth's linear congruential generator).
struct Random(u64);

impl Random {
    fn next(&mut self) -> f32 {
        self.0 = self.0.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
        (self.0 >> 40) as f32 / (1u64 << 24) as f32
    }
}

/// A shot: waves that drift.
struct Shot {
    waves: [[f32; 4]; 4],
    frames_left: usize,
}

impl Shot {
    fn new(random: &mut Random) -> Self {
        let mut wave = || [random.next() * 12.0, random.next() * 12.0, random.next() * 0.2, random.next() * 6.3];
        Self { waves: [wave(), wave(), wave(), wave()], frames_left: 30 + (random.next() * 300.0) as usize }
    }

    fn paint(&mut self, luma: &mut [u8]) {
        for (i, pixel) in luma.iter_mut().enumerate() {
            let (x, y) = ((i % WIDTH) as f32 / WIDTH as f32, (i / WIDTH) as f32 / HEIGHT as f32);
            let sum: f32 = self.waves.iter().map(|[fx, fy, _, phase]| (fx * x + fy * y + phase).sin()).sum();
            *pixel = (128.0 + 30.0 * sum) as u8;
        }
        self.waves.iter_mut().for_each(|[.., drift, phase]| *phase += *drift);
        self.frames_left = self.frames_left.saturating_sub(1);
    }
}

fn face(random: &mut Random) -> Face {
    let (x, y) = (20.0 + 10.0 * random.next(), 50.0 + 8.0 * random.next());
    // One of eight people, and how they look today.
    let person = (random.next() * 8.0) as usize;
    let mut embedding: Vec<f32> = (0..192).map(|i| f32::from(i / 24 == person) + 0.8 * (random.next() - 0.5)).collect();
    let length = embedding.iter().map(|v| v * v).sum::<f32>().sqrt();
    embedding.iter_mut().for_each(|v| *v /= length);
    Face {
        bbox: [0.0, 0.0, 60.0 + 100.0 * random.next(), 100.0],
        score: 0.9,
        landmarks: [[0.0, 40.0], [40.0, 40.0], [x, y + 10.0], [5.0, 86.0], [35.0, 86.0]],
        quality: random.next(),
        flags: vec![],
        embedding,
    }
}

fn main() -> Result<(), Box<dyn Error>> {
    let spec = Pack::built_in()?.spec;
    for frames in std::env::args().skip(1) {
        let (frames, budget) = frames.split_once(':').unwrap_or((&frames, "500"));
        let (frames, budget): (usize, usize) = (frames.parse()?, budget.parse()?);
        let duration_s = frames as f64 / FRAMES_PER_S;
        let options = Options { budget, ..Options::default() };
        let mut session = Session::new(&options, duration_s);
        let mut measurer = Measurer::new(&options.detector)?;
        let (mut random, layout) = (Random(1), FrameLayout::i420(WIDTH, HEIGHT));
        let mut data = vec![128; FrameLayout::i420_len(WIDTH, HEIGHT)];
        let mut shot = Shot::new(&mut random);
        let mut ready = Vec::new();
        let start = Instant::now();
        for i in 0..frames {
            if shot.frames_left == 0 {
                shot = Shot::new(&mut random);
            }
            data.resize(FrameLayout::i420_len(WIDTH, HEIGHT), 128);
            shot.paint(&mut data[..WIDTH * HEIGHT]);
            let measured = measurer.measure(&Frame::new(&layout, &data)?)?;
            let candidate = session.push(i as f64 / FRAMES_PER_S, 1.0 / FRAMES_PER_S, measured, |place| {
                std::mem::swap(place, &mut data);
                layout.clone()
            })?;
            ready.extend(candidate.map(|c| c.index));
        }
        ready.extend(session.finish().into_iter().map(|c| c.index));
        let scan_s = start.elapsed().as_secs_f64();
        let again = session.second_look();
        let planned_s = start.elapsed().as_secs_f64() - scan_s;
        for &index in &ready {
            let faces = (0..(random.next() * 3.0) as usize).map(|_| face(&mut random)).collect();
            session.set_faces(index, faces)?;
        }
        let video = Video {
            name: "generated".into(),
            size_bytes: None,
            hdr: None,
            duration_s,
            width: WIDTH as u32,
            height: HEIGHT as u32,
            rotation_deg: 0,
            codec: "none".into(),
            frames_expected: frames as u64,
            frames_decoded: frames as u64,
            frames_missing: 0,
            notes: vec![],
        };
        // The first time also groups people.
        let start = Instant::now();
        session.manifest(&options, &spec, video.clone(), "native", Default::default());
        let first_ms = start.elapsed().as_secs_f64() * 1e3;
        let start = Instant::now();
        let manifest = session.manifest(&options, &spec, video, "native", Default::default());
        let select_ms = start.elapsed().as_secs_f64() * 1e3;
        println!(
            "{frames} frames, {} scenes, {} candidates, {} to decode again: {:.1} MB of records, {} bytes a frame; \
             scan {scan_s:.1} s, {:.0} µs a frame; second look {planned_s:.2} s; choice of {} frames {select_ms:.0} ms, \
             the first time {first_ms:.0} ms",
            manifest.scenes.len(),
            ready.len(),
            again.len(),
            session.record_bytes() as f64 / 1e6,
            session.record_bytes() / frames,
            scan_s * 1e6 / frames as f64,
            manifest.frames.len(),
        );
    }
    Ok(())
}
