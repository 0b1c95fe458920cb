//! Files beside the manifest that say the same to other tools.

use crate::error::{Error, Result};
use crate::manifest::{KeptFace, KeptFrame, Manifest};
use crate::still;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

/// What other tools read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Dataset {
    /// `metadata.jsonl` in `frames/` and `faces/`, for Hugging Face's `imagefolder`
    /// (<https://huggingface.co/docs/datasets/image_dataset>).
    Imagefolder,
    /// `coco.json`: boxes and key points (<https://cocodataset.org/#format-data>).
    Coco,
    /// A text file beside each frame, and `data.yaml` (<https://docs.ultralytics.com/datasets/detect/>).
    Yolo,
    /// `faces.csv`, a line for each face.
    Csv,
    /// Contact sheets, which are made of pictures: see [`crate::contact`].
    Contact,
}

/// Path within the output, and what is in it.
pub type File = (String, Vec<u8>);
type TextFile = (String, String);

/// The files that a manifest's options ask for: those of [`Options::also`](crate::manifest::Options::also), and with
/// identity vectors `embeddings.npy`, a row for each face in the order of the manifest.
pub fn files(manifest: &Manifest) -> Result<Vec<File>> {
    let bytes = |(name, text): TextFile| (name, text.into_bytes());
    let mut files: Vec<File> = texts(manifest)?.into_iter().map(bytes).collect();
    files.extend(npy(manifest).map(|bytes| ("embeddings.npy".into(), bytes)));
    Ok(files)
}

fn texts(manifest: &Manifest) -> Result<Vec<TextFile>> {
    let mut files = Vec::new();
    for dataset in &manifest.options.also {
        match dataset {
            Dataset::Imagefolder => files.extend(imagefolder(manifest)?),
            Dataset::Coco => files.push(("coco.json".into(), text(&coco(manifest))?)),
            Dataset::Yolo => files.extend(yolo(manifest)),
            Dataset::Csv => files.push(("faces.csv".into(), csv(manifest))),
            Dataset::Contact => {}
        }
    }
    Ok(files)
}

fn text(value: &Value) -> Result<String> {
    serde_json::to_string(value).map_err(|e| Error::Usage(e.to_string()))
}

/// How a person is called: by name, or by number as everywhere, from 1.
fn called(manifest: &Manifest, person: usize) -> String {
    let named = manifest.people.iter().find(|other| other.id == person).and_then(|other| other.name.clone());
    named.unwrap_or_else(|| format!("person {}", person + 1))
}

/// From pixels of the video to those of the files, across and down: frames may be written smaller.
struct Scale {
    size: (u32, u32),
    x: f32,
    y: f32,
}

impl Scale {
    fn of(manifest: &Manifest) -> Self {
        let (width, height) = (manifest.video.width.max(1), manifest.video.height.max(1));
        let size = still::size_within((width, height), manifest.options.max_side_px);
        Self { size, x: size.0 as f32 / width as f32, y: size.1 as f32 / height as f32 }
    }

    fn of_box(&self, [x, y, w, h]: [f32; 4]) -> [f32; 4] {
        [x * self.x, y * self.y, w * self.x, h * self.y]
    }
}

fn faces(manifest: &Manifest) -> impl Iterator<Item = (&KeptFrame, &KeptFace)> {
    manifest.frames.iter().flat_map(|frame| frame.faces.iter().map(move |face| (frame, face)))
}

fn imagefolder(manifest: &Manifest) -> Result<Vec<TextFile>> {
    let scale = Scale::of(manifest);
    let inside = |path: &str, folder: &str| path.strip_prefix(folder).unwrap_or(path).to_string();
    let mut frames = String::new();
    for frame in &manifest.frames {
        let boxes: Vec<_> = frame.faces.iter().map(|face| scale.of_box(face.bbox)).collect();
        let people: Vec<_> = frame.faces.iter().map(|face| called(manifest, face.person)).collect();
        frames += &text(&json!({
            "file_name": inside(&frame.file, "frames/"),
            "time_s": frame.time_s,
            "scene": frame.scene,
            "sharpness": frame.sharpness,
            "objects": { "bbox": boxes, "categories": vec!["face"; boxes.len()], "people": people },
        }))?;
        frames.push('\n');
    }
    let mut crops = String::new();
    for (frame, face) in faces(manifest) {
        let Some(crop) = &face.crop else { continue };
        crops += &text(&json!({
            "file_name": inside(crop, "faces/"),
            "label": called(manifest, face.person),
            "quality": face.quality,
            "time_s": frame.time_s,
        }))?;
        crops.push('\n');
    }
    let mut files = vec![("frames/metadata.jsonl".to_string(), frames)];
    if !crops.is_empty() {
        files.push(("faces/metadata.jsonl".into(), crops));
    }
    Ok(files)
}

fn coco(manifest: &Manifest) -> Value {
    let scale = Scale::of(manifest);
    let (width, height) = scale.size;
    let image =
        |frame: &KeptFrame| json!({ "id": frame.index, "file_name": frame.file, "width": width, "height": height });
    let annotation = |(id, (frame, face)): (usize, (&KeptFrame, &KeptFace))| {
        // Two numbers a point, and 2 for one that is visible.
        let points: Vec<f32> = face.landmarks.iter().flat_map(|&[x, y]| [x * scale.x, y * scale.y, 2.0]).collect();
        let bbox = scale.of_box(face.bbox);
        json!({
            "id": id + 1,
            "image_id": frame.index,
            "category_id": 1,
            "bbox": bbox,
            "area": bbox[2] * bbox[3],
            "iscrowd": 0,
            "keypoints": points,
            "num_keypoints": face.landmarks.len(),
            "score": face.score,
            "attributes": { "person": called(manifest, face.person), "quality": face.quality },
        })
    };
    json!({
        "info": { "description": format!("{}, by framesift {}", manifest.video.name, manifest.tool.version) },
        "images": manifest.frames.iter().map(image).collect::<Vec<_>>(),
        "annotations": faces(manifest).enumerate().map(annotation).collect::<Vec<_>>(),
        "categories": [{
            "id": 1,
            "name": "face",
            "keypoints": ["eye at the left", "eye at the right", "nose", "mouth at the left", "mouth at the right"],
            "skeleton": [],
        }],
    })
}

fn yolo(manifest: &Manifest) -> Vec<TextFile> {
    let (width, height) = (manifest.video.width.max(1) as f32, manifest.video.height.max(1) as f32);
    let labels = |frame: &KeptFrame| {
        let line = |face: &KeptFace| {
            // What lies outside the picture is cut off.
            let [x, y, w, h] = face.bbox;
            let (left, right) = (x.clamp(0.0, width), (x + w).clamp(0.0, width));
            let (top, bottom) = (y.clamp(0.0, height), (y + h).clamp(0.0, height));
            let (cx, cy) = ((left + right) / 2.0 / width, (top + bottom) / 2.0 / height);
            format!("0 {cx:.6} {cy:.6} {:.6} {:.6}\n", (right - left) / width, (bottom - top) / height)
        };
        let stem = frame.file.rsplit_once('.').map_or(frame.file.as_str(), |(stem, _)| stem);
        (format!("{stem}.txt"), frame.faces.iter().map(line).collect())
    };
    let mut files: Vec<TextFile> = manifest.frames.iter().map(labels).collect();
    files.push(("data.yaml".into(), "path: .\ntrain: frames\nval: frames\nnames:\n  0: face\n".into()));
    files
}

fn csv(manifest: &Manifest) -> String {
    let mut lines = String::from(
        "frame,time_s,scene,file,crop,person,name,x,y,width,height,score,quality,yaw_deg,pitch_deg,roll_deg,flags\n",
    );
    let scale = Scale::of(manifest);
    for (frame, face) in faces(manifest) {
        let flags = face.flags.iter().map(|flag| format!("{flag:?}").to_lowercase()).collect::<Vec<_>>().join(" ");
        let [x, y, w, h] = scale.of_box(face.bbox);
        let pose = &face.pose;
        lines += &format!(
            "{},{},{},{},{},{},{},{x},{y},{w},{h},{},{},{},{},{},{flags}\n",
            frame.index,
            frame.time_s,
            frame.scene,
            cell(&frame.file),
            cell(face.crop.as_deref().unwrap_or_default()),
            face.person,
            cell(&called(manifest, face.person)),
            face.score,
            face.quality,
            pose.yaw_deg,
            pose.pitch_deg,
            pose.roll_deg,
        );
    }
    lines
}

/// The identity vectors as a NumPy array of floats, a row each (format 1.0 of
/// <https://numpy.org/doc/stable/reference/generated/numpy.lib.format.html>); `None` where there are none.
fn npy(manifest: &Manifest) -> Option<Vec<u8>> {
    let vectors: Vec<&Vec<f32>> = faces(manifest).filter_map(|(_, face)| face.embedding.as_ref()).collect();
    let length = vectors.first()?.len();
    let shape = format!("{{'descr': '<f4', 'fortran_order': False, 'shape': ({}, {length}), }}", vectors.len());
    // Data begins at a multiple of 64, and the header's last byte is a line feed.
    const BEFORE: usize = 10;
    let padded = (BEFORE + shape.len() + 1).next_multiple_of(64) - BEFORE;
    let mut bytes = b"\x93NUMPY\x01\x00".to_vec();
    bytes.extend((padded as u16).to_le_bytes());
    bytes.extend(format!("{shape:<width$}\n", width = padded - 1).into_bytes());
    // Of another length they would be another array's.
    bytes.extend(vectors.into_iter().filter(|v| v.len() == length).flatten().flat_map(|value| value.to_le_bytes()));
    Some(bytes)
}

/// A text as a cell (RFC 4180). What a spreadsheet would take for a formula gets a quote before it.
fn cell(text: &str) -> String {
    let text = if text.starts_with(['=', '+', '-', '@']) { format!("'{text}") } else { text.into() };
    match text.contains([',', '"', '\n', '\r']) {
        true => format!("\"{}\"", text.replace('"', "\"\"")),
        false => text,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn manifest() -> Manifest {
        serde_json::from_value(json!({
            "schema": "framesift-manifest/1",
            "tool": { "name": "framesift", "version": "0", "build": "native" },
            "pack": { "name": "", "detector": "", "embedder": "", "precision": "", "license": "", "sha256": {} },
            "device": "",
            "video": {
                "name": "a.mp4", "duration_s": 2.0, "width": 200, "height": 100, "rotation_deg": 0, "codec": "h264",
                "frames_expected": 50, "frames_decoded": 50, "frames_missing": 0
            },
            "options": { "also": ["imagefolder", "coco", "yolo", "csv"] },
            "scenes": [],
            "frames": [
                { "file": "frames/000007_0.280s.jpg", "index": 7, "time_s": 0.28, "scene": 0, "sharpness": 9.0, "faces": [{
                    "bbox": [150.0, 20.0, 100.0, 40.0], "score": 0.9, "quality": 0.5, "flags": ["truncated"], "person": 1,
                    "landmarks": [[1.0, 2.0], [3.0, 4.0], [5.0, 6.0], [7.0, 8.0], [9.0, 10.0]],
                    "crop": "faces/000007_0.jpg"
                }] },
                { "file": "frames/000009_0.360s.jpg", "index": 9, "time_s": 0.36, "scene": 0, "sharpness": 9.0, "faces": [] }
            ],
            "rejected": [],
            "people": [{ "id": 1, "name": "=Ada, \"A\"", "faces": 1, "best": "faces/000007_0.jpg" }],
            "timings_s": {}
        }))
        .unwrap()
    }

    #[test]
    fn the_same_in_every_form() {
        let files: std::collections::BTreeMap<String, String> = texts(&manifest()).unwrap().into_iter().collect();
        let line = |name: &str| serde_json::from_str::<Value>(files[name].lines().next().unwrap()).unwrap();
        let frame = line("frames/metadata.jsonl");
        assert_eq!(
            (&frame["file_name"], &frame["objects"]["bbox"][0][0]),
            (&json!("000007_0.280s.jpg"), &json!(150.0))
        );
        assert_eq!(files["frames/metadata.jsonl"].lines().count(), 2);
        assert_eq!(line("faces/metadata.jsonl")["label"], "=Ada, \"A\"");
        let coco: Value = serde_json::from_str(&files["coco.json"]).unwrap();
        assert_eq!((coco["images"].as_array().unwrap().len(), &coco["annotations"][0]["image_id"]), (2, &json!(7)));
        assert_eq!(coco["annotations"][0]["keypoints"].as_array().unwrap().len(), 15);
        // The box is cut at the picture's edge: 150 to 200 of 200, 20 to 60 of 100.
        assert_eq!(files["frames/000007_0.280s.txt"], "0 0.875000 0.400000 0.250000 0.400000\n");
        assert_eq!(files["frames/000009_0.360s.txt"], "");
        assert!(files["data.yaml"].contains("0: face"));
        let row = files["faces.csv"].lines().nth(1).unwrap();
        assert!(
            row.starts_with(
                "7,0.28,0,frames/000007_0.280s.jpg,faces/000007_0.jpg,1,\"'=Ada, \"\"A\"\"\",150,20,100,40,"
            ),
            "{row}"
        );
        assert!(row.ends_with(",truncated"), "{row}");
    }

    #[test]
    fn boxes_are_those_of_the_files() {
        let mut manifest = manifest();
        manifest.options.max_side_px = Some(50);
        let files: std::collections::BTreeMap<String, String> = texts(&manifest).unwrap().into_iter().collect();
        let coco: Value = serde_json::from_str(&files["coco.json"]).unwrap();
        assert_eq!((&coco["images"][0]["width"], &coco["images"][0]["height"]), (&json!(50), &json!(25)));
        assert_eq!(coco["annotations"][0]["bbox"], json!([37.5, 5.0, 25.0, 10.0]));
        assert_eq!(coco["annotations"][0]["keypoints"].as_array().unwrap()[..3], [0.25, 0.5, 2.0].map(|v| json!(v)));
        assert_eq!(files["frames/000007_0.280s.txt"], "0 0.875000 0.400000 0.250000 0.400000\n");
        assert!(files["faces.csv"].contains(",37.5,5,25,10,"));
        assert!(files["frames/metadata.jsonl"].contains("[37.5,5.0,25.0,10.0]"));
    }

    #[test]
    fn identity_vectors_are_an_array_of_numpy() {
        let mut manifest = manifest();
        assert!(!files(&manifest).unwrap().iter().any(|(name, _)| name == "embeddings.npy"));
        manifest.frames[0].faces[0].embedding = Some(vec![0.5, -0.25, 1.0]);
        let files = files(&manifest).unwrap();
        let (_, bytes) = files.iter().find(|(name, _)| name == "embeddings.npy").unwrap();
        let (head, data) = bytes.split_at(64 + 64);
        assert_eq!(&head[..10], b"\x93NUMPY\x01\x00\x76\x00");
        let text = std::str::from_utf8(&head[10..]).unwrap();
        assert_eq!(text.trim_end(), "{'descr': '<f4', 'fortran_order': False, 'shape': (1, 3), }");
        assert!(text.ends_with('\n'));
        assert_eq!(data, [0.5f32, -0.25, 1.0].map(f32::to_le_bytes).as_flattened());
    }
}
