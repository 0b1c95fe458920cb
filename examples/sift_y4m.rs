//! Scenes and chosen frames of a raw video:
//!
//! ```sh
//! ffmpeg -v error -i video.mp4 -pix_fmt yuv420p video.y4m
//! cargo run --release --example sift_y4m -- video.y4m [BUDGET [FACES]]
//! ```
//!
//! FACES is `ignore` (the default: no face is looked for), `prefer` or `require`. Prints one JSON
//! object: `cuts` (first frames of scenes), `gradual` (half-open frame ranges), `candidates` (how
//! many), `frames` (chosen frames), `people` (faces of each in the chosen frames), `rejected` (how
//! many for each reason), `select_ms` (time of the choice).

use framesift::faces::FaceAnalyzer;
use framesift::faces::pack::Pack;
use framesift::frame::{Frame, FrameLayout};
use framesift::inference::Engine;
use framesift::manifest::{Options, Video};
use framesift::pipeline::{Measurer, Session};
use framesift::sampling::Candidate;
use framesift::sampling::scenes::TransitionKind;
use framesift::sampling::selection::FacesMode;
use std::collections::BTreeMap;
use std::error::Error;
use std::fs::File;
use std::io::{BufRead, BufReader, Read, Seek, SeekFrom};
use std::time::Instant;

fn main() -> Result<(), Box<dyn Error>> {
    let budget = std::env::args().nth(2).map_or(Ok(500), |a| a.parse())?;
    let faces: FacesMode = serde_json::from_value(std::env::args().nth(3).unwrap_or("ignore".into()).into())?;
    let options = Options { budget, faces, ..Options::default() };
    let path = std::env::args().nth(1).ok_or("name a Y4M file")?;
    let mut input = BufReader::new(File::open(path)?);
    let mut header = String::new();
    input.read_line(&mut header)?;
    let field = |tag: char| header.split_whitespace().skip(1).find_map(|f| f.strip_prefix(tag)).ok_or("not YUV4MPEG2");
    let (width, height): (usize, usize) = (field('W')?.parse()?, field('H')?.parse()?);
    let (num, den) = field('F')?.split_once(':').ok_or("no frame rate")?;
    let frame_s = den.parse::<f64>()? / num.parse::<f64>()?;

    let pack = Pack::built_in()?;
    let spec = pack.spec.clone();
    let mut analyzer = FaceAnalyzer::new(pack, &Engine::default())?;
    let mut analyze = |session: &mut Session, candidate: Candidate| -> Result<(), Box<dyn Error>> {
        if faces != FacesMode::Ignore {
            let picture = Frame::new(&candidate.layout, &candidate.data)?.to_rgb()?;
            session.set_faces(candidate.index, analyzer.analyze(&picture)?)?;
        }
        Ok(())
    };

    let layout = FrameLayout::i420(width, height);
    // The length is not known beforehand; a short one means many candidates.
    let mut session = Session::new(&options, 0.0);
    let mut measurer = Measurer::new(&options.detector)?;
    let mut offsets = Vec::new();
    let mut marker = Vec::new();
    loop {
        marker.clear();
        if input.read_until(b'\n', &mut marker)? == 0 {
            break;
        }
        offsets.push(input.stream_position()?);
        let mut data = vec![0; FrameLayout::i420_len(width, height)];
        input.read_exact(&mut data)?;
        let measured = measurer.measure(&Frame::new(&layout, &data)?)?;
        let time_s = session.frames() as f64 * frame_s;
        let candidate = session.push(time_s, frame_s, measured, |place| {
            *place = data;
            layout.clone()
        })?;
        candidate.map_or(Ok(()), |candidate| analyze(&mut session, candidate))?;
    }
    for candidate in session.finish() {
        analyze(&mut session, candidate)?;
    }
    for index in session.second_look() {
        input.seek(SeekFrom::Start(offsets[index as usize]))?;
        let mut data = vec![0; FrameLayout::i420_len(width, height)];
        input.read_exact(&mut data)?;
        let candidate = session.add_candidate(index, &layout, data)?;
        analyze(&mut session, candidate)?;
    }

    let video = Video {
        name: "y4m".into(),
        size_bytes: None,
        hdr: None,
        duration_s: session.frames() as f64 * frame_s,
        width: width as u32,
        height: height as u32,
        rotation_deg: 0,
        codec: "rawvideo".into(),
        frames_expected: session.frames(),
        frames_decoded: session.frames(),
        frames_missing: 0,
        notes: vec![],
    };
    // The first time also groups people.
    session.manifest(&options, &spec, video.clone(), "native", Default::default());
    let start = Instant::now();
    let manifest = session.manifest(&options, &spec, video, "native", Default::default());
    let select_ms = start.elapsed().as_secs_f64() * 1e3;
    let mut rejected: BTreeMap<String, usize> = BTreeMap::new();
    for frame in &manifest.rejected {
        *rejected.entry(serde_json::to_value(frame.reason)?.as_str().unwrap_or_default().into()).or_default() += 1;
    }
    let cut = |t| matches!(t, TransitionKind::Cut);
    println!(
        "{}",
        serde_json::json!({
            "cuts": manifest.scenes.iter().filter(|s| cut(s.transition)).map(|s| s.start_frame).collect::<Vec<_>>(),
            "gradual": manifest.scenes.iter()
                .filter_map(|s| Some([s.transition_start_frame?, s.transition_end_frame?])).collect::<Vec<_>>(),
            "candidates": manifest.frames.len() + manifest.rejected.len(),
            "frames": manifest.frames.iter().map(|f| f.index).collect::<Vec<_>>(),
            "people": manifest.people.iter().map(|p| p.faces).collect::<Vec<_>>(),
            "rejected": rejected,
            "select_ms": select_ms,
        })
    );
    Ok(())
}
