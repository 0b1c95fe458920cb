//! Faces of pictures as JSON lines (image, faces with bbox, score, landmarks,
//! embedding), for scoring against ground truth:
//!
//! ```sh
//! cargo run --example faces_jsonl -- FOLDER < names.txt > faces.jsonl
//! ```
//!
//! Reads picture names from standard input, one a line, relative to FOLDER.

use framesift::faces::FaceAnalyzer;
use framesift::faces::pack::Pack;
use framesift::inference::Engine;
use std::error::Error;
use std::io::stdin;
use std::path::Path;

fn main() -> Result<(), Box<dyn Error>> {
    let folder = std::env::args().nth(1).ok_or("name the folder of the pictures")?;
    let pack = Path::new(env!("CARGO_MANIFEST_DIR")).join("models");
    let mut analyzer = FaceAnalyzer::new(Pack::open(&pack)?, &Engine::default())?;
    for name in stdin().lines() {
        let name = name?;
        let picture = image::open(Path::new(&folder).join(&name))?.to_rgb8();
        let faces = analyzer.analyze(&picture)?;
        println!("{}", serde_json::json!({ "image": name, "faces": faces }));
    }
    Ok(())
}
