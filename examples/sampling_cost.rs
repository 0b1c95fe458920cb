//! What sampling costs, in memory and on one thread:
//!
//! ```sh
//! ffmpeg -v error -i video.mp4 -t 20 -pix_fmt yuv420p video.y4m
//! cargo run --release --example sampling_cost -- video.y4m [ROUNDS]
//! ```
//!
//! Prints JSON: milliseconds a frame for measuring it and for finding scenes and look-alikes, the best of some
//! rounds (three if not said). `npm run bench:sampling` compares it with others.

use framesift::frame::{Frame, FrameLayout};
use framesift::manifest::Options;
use framesift::pipeline::{Measurer, Session};
use std::error::Error;
use std::time::{Duration, Instant};

fn main() -> Result<(), Box<dyn Error>> {
    let path = std::env::args().nth(1).ok_or("name a Y4M file")?;
    let rounds = std::env::args().nth(2).map_or(Ok(3), |rounds| rounds.parse())?;
    let file = std::fs::read(path)?;
    let header_end = file.iter().position(|&byte| byte == b'\n').ok_or("not YUV4MPEG2")?;
    let header = std::str::from_utf8(&file[..header_end])?;
    let field = |tag: char| header.split_whitespace().skip(1).find_map(|f| f.strip_prefix(tag)).ok_or("not YUV4MPEG2");
    let (width, height) = (field('W')?.parse()?, field('H')?.parse()?);
    let layout = FrameLayout::i420(width, height);
    // Each frame comes after a line of six bytes.
    let frames = || file[header_end + 1..].chunks_exact(6 + FrameLayout::i420_len(width, height));
    let options = Options::default();
    let mut latest = vec![0; FrameLayout::i420_len(width, height)];
    let mut best = [Duration::MAX; 2];
    for _ in 0..rounds {
        let mut session = Session::new(&options, frames().len() as f64 / 25.0);
        let mut measurer = Measurer::new(&options.detector)?;
        let mut took = [Duration::ZERO; 2];
        for (i, frame) in frames().enumerate() {
            // As after decoding, when it has just been written.
            latest.copy_from_slice(&frame[6..]);
            let start = Instant::now();
            let measured = measurer.measure(&Frame::new(&layout, &latest)?)?;
            let between = Instant::now();
            session.push(i as f64 / 25.0, 0.04, measured, |_| layout.clone())?;
            took[0] += between - start;
            took[1] += between.elapsed();
        }
        best = [best[0].min(took[0]), best[1].min(took[1])];
    }
    let [measuring_ms, finding_ms] = best.map(|took| took.as_secs_f64() * 1e3 / frames().len() as f64);
    println!("{}", serde_json::json!({ "measuring_ms": measuring_ms, "finding_ms": finding_ms }));
    Ok(())
}
