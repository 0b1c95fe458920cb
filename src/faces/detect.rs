//! CenterFace (Xu et al., "CenterFace: joint face detection and alignment using
//! face as point", 2019): a heatmap of face centres at stride 4, with box size,
//! centre offset and five landmarks per cell.

use super::Landmarks;
use super::embed::to_batch;
use super::pack::DetectorSpec;
use crate::error::{Error, Result};
use crate::frame::resize;
use crate::inference::{Engine, Runner};
use fast_image_resize::PixelType;
use image::RgbImage;
use ndarray::{ArrayD, ArrayView3, Ix4};

/// A detected face, in pixels of the picture it was found in.
#[derive(Clone, Debug, PartialEq)]
pub struct Detection {
    /// x, y, width, height.
    pub bbox: [f32; 4],
    /// Confidence, 0–1.
    pub score: f32,
    /// Where eyes, nose and mouth are.
    pub landmarks: Landmarks,
}

/// Output cells are this many input pixels apart.
const STRIDE: f32 = 4.0;

/// Above this distance in pixels of the network's input, between the eyes or
/// from eyes to mouth, landmarks drift, and a second look pays. (Below it, the
/// second look would enlarge the face beyond what the picture holds.)
const REFINE_ABOVE_PX: f32 = 28.0;

/// The crop of the second look is this many times that distance wide.
const REFINE_CROP: f32 = 4.0;

/// The detector.
pub struct Detector {
    spec: DetectorSpec,
    runner: Runner,
}

/// How a picture lies on the network's input: scaled, then moved.
#[derive(Clone, Copy)]
struct Placement {
    scale: f32,
    left: usize,
    top: usize,
}

impl Detector {
    /// Reads the file for an engine; networks are compiled on demand.
    pub fn new(spec: DetectorSpec, file: &[u8], engine: &Engine) -> Result<Self> {
        Ok(Self { spec, runner: engine.load(file)? })
    }

    /// Quantized nodes that run in float, and why.
    pub fn in_float(&self) -> &[String] {
        self.runner.in_float()
    }

    /// All faces of upright RGB pictures. Large ones get a second look for
    /// better landmarks; a picture without any face is tried again smaller and
    /// with a black margin, for faces that fill it.
    pub fn detect(&mut self, pictures: &[RgbImage]) -> Result<Vec<Vec<Detection>>> {
        let looks = pictures.iter().map(|picture| self.whole(picture)).collect::<Result<Vec<_>>>()?;
        let mut found = self.look(&looks)?;
        let none: Vec<usize> = (0..found.len()).filter(|&i| found[i].is_empty()).collect();
        let looks = none.iter().map(|&i| self.with_margin(&pictures[i])).collect::<Result<Vec<_>>>()?;
        for (i, faces) in none.into_iter().zip(self.look(&looks)?) {
            found[i] = faces;
        }
        found.iter_mut().flatten().for_each(Detection::round);
        self.refine(pictures, &mut found)?;
        Ok(found)
    }

    /// A picture as large as the network sees it.
    fn whole(&self, picture: &RgbImage) -> Result<(RgbImage, Placement)> {
        let long = self.spec.long_side_px;
        let scale = self.scale(picture);
        let side = |v: u32| ((v as f32 * scale) as usize).max(1).next_multiple_of(32).min(long.next_multiple_of(32));
        place(picture, (side(picture.width()), side(picture.height())), Placement { scale, left: 0, top: 0 })
    }

    /// A picture at half the size of the second look's canvas, which is compiled for that anyway.
    fn with_margin(&self, picture: &RgbImage) -> Result<(RgbImage, Placement)> {
        let side = self.spec.refine_px;
        let scale = side as f32 / (2 * picture.width().max(picture.height())) as f32;
        let offset = |v: u32| (side - (v as f32 * scale) as usize) / 2;
        let (left, top) = (offset(picture.width()), offset(picture.height()));
        place(picture, (side, side), Placement { scale, left, top })
    }

    /// Pixels of the network's input for one of the picture's.
    fn scale(&self, picture: &RgbImage) -> f32 {
        self.spec.long_side_px as f32 / picture.width().max(picture.height()) as f32
    }

    /// Faces of pictures on their canvases.
    fn look(&mut self, looks: &[(RgbImage, Placement)]) -> Result<Vec<Vec<Detection>>> {
        let mut found = Vec::with_capacity(looks.len());
        // What has one size runs at once.
        for looks in looks.chunk_by(|(a, _), (b, _)| a.dimensions() == b.dimensions()) {
            let canvases: Vec<&RgbImage> = looks.iter().map(|(canvas, _)| canvas).collect();
            let faces = self.run(&canvases, self.spec.min_score)?.into_iter().zip(looks);
            found.extend(faces.map(|(faces, (_, place))| faces.into_iter().map(|face| place.back(face)).collect()));
        }
        Ok(found)
    }

    /// Gives large faces better landmarks: from a square crop around each, at the network's favourite
    /// size, unless it sees nothing there.
    fn refine(&mut self, pictures: &[RgbImage], found: &mut [Vec<Detection>]) -> Result<()> {
        let side = self.spec.refine_px;
        let scales: Vec<f32> = pictures.iter().map(|picture| self.scale(picture)).collect();
        let faces = found.iter_mut().zip(pictures).zip(scales);
        let faces =
            faces.flat_map(|((faces, picture), scale)| faces.iter_mut().map(move |face| (face, picture, scale)));
        let mut large: Vec<(&mut Detection, &RgbImage)> = faces
            .filter(|(face, _, scale)| feature_size(&face.landmarks) * scale > REFINE_ABOVE_PX)
            .map(|(face, picture, _)| (face, picture))
            .collect();
        let crops = large.iter().map(|(face, picture)| Crop::around(&face.landmarks).cut(picture, side));
        let crops = crops.collect::<Result<Vec<_>>>()?;
        let middle = side as f32 / 2.0;
        let off_centre =
            |f: &Detection| (f.bbox[0] + f.bbox[2] / 2.0 - middle).hypot(f.bbox[1] + f.bbox[3] / 2.0 - middle);
        let crops: Vec<&RgbImage> = crops.iter().collect();
        for ((face, _), seen) in large.iter_mut().zip(self.run(&crops, self.spec.refine_min_score)?) {
            let Crop { x0, y0, side: crop_side } = Crop::around(&face.landmarks);
            let zoom = crop_side as f32 / side as f32;
            let nearest = seen.into_iter().min_by(|a, b| off_centre(a).total_cmp(&off_centre(b)));
            if let Some(nearest) = nearest {
                face.landmarks = nearest.landmarks.map(|[x, y]| [x * zoom + x0 as f32, y * zoom + y0 as f32]);
                face.round();
            }
        }
        Ok(())
    }

    /// Faces on canvases of one size, in their pixels.
    fn run(&mut self, canvases: &[&RgbImage], min_score: f32) -> Result<Vec<Vec<Detection>>> {
        let Some(first) = canvases.first() else { return Ok(Vec::new()) };
        let size = (first.width() as usize, first.height() as usize);
        let outputs = self.runner.run(to_batch(canvases, |v| v)?.view())?;
        let nms_iou = self.spec.nms_iou;
        (0..canvases.len()).map(|i| Ok(suppress(decode(&outputs, i, size, min_score)?, nms_iou))).collect()
    }
}

/// A picture on a black canvas of a size.
fn place(picture: &RgbImage, size: (usize, usize), place: Placement) -> Result<(RgbImage, Placement)> {
    let Placement { scale, left, top } = place;
    let scaled = |v: u32, limit: usize| ((v as f32 * scale) as usize).clamp(1, limit);
    let (sw, sh) = (scaled(picture.width(), size.0 - left), scaled(picture.height(), size.1 - top));
    let mut small = vec![0; sw * sh * 3];
    let from = (picture.width() as usize, picture.height() as usize);
    resize(picture.as_raw(), from, &mut small, (sw, sh), PixelType::U8x3)?;
    let mut canvas = RgbImage::new(size.0 as u32, size.1 as u32);
    for (y, row) in small.chunks_exact(sw * 3).enumerate() {
        let start = ((top + y) * size.0 + left) * 3;
        canvas.as_flat_samples_mut().samples[start..start + row.len()].copy_from_slice(row);
    }
    Ok((canvas, place))
}

/// The square of the second look, in pixels of the picture.
struct Crop {
    x0: i64,
    y0: i64,
    side: usize,
}

impl Crop {
    fn around(landmarks: &Landmarks) -> Self {
        let side = (feature_size(landmarks) * REFINE_CROP).max(8.0);
        let centre = landmarks.iter().fold([0.0; 2], |c, p| [c[0] + p[0] / 5.0, c[1] + p[1] / 5.0]);
        let [x0, y0] = centre.map(|c| (c - side / 2.0).round() as i64);
        Self { x0, y0, side: side.round() as usize }
    }

    /// It at another size.
    fn cut(&self, picture: &RgbImage, side: usize) -> Result<RgbImage> {
        let crop = crop(picture, self.x0, self.y0, self.side);
        let mut small = RgbImage::new(side as u32, side as u32);
        resize(crop.as_raw(), (self.side, self.side), &mut small, (side, side), PixelType::U8x3)?;
        Ok(small)
    }
}

impl Detection {
    /// Rounds coordinates to 32nds of a pixel. The last bits of floating-point sums differ
    /// between builds, and quantized networks magnify that: rounded, the same faces come out.
    fn round(&mut self) {
        let round = |v: f32| (v * 32.0).round() / 32.0;
        self.bbox = self.bbox.map(round);
        self.landmarks = self.landmarks.map(|point| point.map(round));
    }
}

impl Placement {
    fn back(&self, face: Detection) -> Detection {
        let point = |[x, y]: [f32; 2]| [(x - self.left as f32) / self.scale, (y - self.top as f32) / self.scale];
        let [x, y] = point([face.bbox[0], face.bbox[1]]);
        Detection {
            bbox: [x, y, face.bbox[2] / self.scale, face.bbox[3] / self.scale],
            landmarks: face.landmarks.map(point),
            ..face
        }
    }
}

/// The larger of eye distance and eyes-to-mouth distance, in pixels: a face's
/// size whichever way it is turned.
fn feature_size(l: &Landmarks) -> f32 {
    let middle = |a: [f32; 2], b: [f32; 2]| [(a[0] + b[0]) / 2.0, (a[1] + b[1]) / 2.0];
    let distance = |a: [f32; 2], b: [f32; 2]| (a[0] - b[0]).hypot(a[1] - b[1]);
    distance(l[0], l[1]).max(distance(middle(l[0], l[1]), middle(l[3], l[4])))
}

/// A square cut out of a picture; black where it reaches beyond.
fn crop(picture: &RgbImage, x0: i64, y0: i64, side: usize) -> RgbImage {
    let mut square = RgbImage::new(side as u32, side as u32);
    let within = |start: i64, length: u32| start.clamp(0, i64::from(length)) as usize;
    let part = |start: i64, length| (within(start, length), within(start.saturating_add(side as i64), length));
    let ((left, right), (top, bottom)) = (part(x0, picture.width()), part(y0, picture.height()));
    if left == right {
        return square;
    }
    let width = picture.width() as usize;
    let rows = square.as_flat_samples_mut().samples.chunks_exact_mut((3 * side).max(1));
    // Where the picture begins in the square.
    let (dx, dy) = ((left as i64 - x0) as usize, (top as i64 - y0) as usize);
    for (row, y) in rows.skip(dy).zip(top..bottom) {
        let from = &picture.as_raw()[3 * (y * width + left)..3 * (y * width + right)];
        row[3 * dx..3 * dx + from.len()].copy_from_slice(from);
    }
    square
}

/// Faces above `min_score` on canvas `index` of a batch, of (width, height), unsuppressed.
/// Outputs: heatmap 1, scale 2 (log height, log width), offset 2 (y, x),
/// landmarks 10 (five y, x pairs in units of the box, from its clipped corner).
fn decode(outputs: &[ArrayD<f32>], index: usize, size: (usize, usize), min_score: f32) -> Result<Vec<Detection>> {
    if outputs.iter().any(|output| output.shape().first().is_none_or(|&inputs| inputs <= index)) {
        return Err(Error::Inference(format!("the detector gave nothing for input {index} of a batch")));
    }
    let views = outputs
        .iter()
        .map(|o| o.view().into_dimensionality::<Ix4>().map(|v| v.index_axis_move(ndarray::Axis(0), index)))
        .collect::<std::result::Result<Vec<ArrayView3<'_, f32>>, _>>()
        .map_err(|e| Error::Inference(format!("detector output: {e}")))?;
    let [heat, scale, offset, points] = views.as_slice() else {
        return Err(Error::Inference(format!("the detector gave {} outputs, expected 4", views.len())));
    };
    let channels = [heat.shape()[0], scale.shape()[0], offset.shape()[0], points.shape()[0]];
    if channels != [1, 2, 2, 10] {
        return Err(Error::Inference(format!("detector outputs have {channels:?} channels, expected 1, 2, 2, 10")));
    }
    let (width, height) = (size.0 as f32, size.1 as f32);
    let mut faces = Vec::new();
    for ((_, y, x), &score) in heat.indexed_iter() {
        if score < min_score {
            continue;
        }
        let (h, w) = (scale[[0, y, x]].exp() * STRIDE, scale[[1, y, x]].exp() * STRIDE);
        let cy = (y as f32 + offset[[0, y, x]] + 0.5) * STRIDE;
        let cx = (x as f32 + offset[[1, y, x]] + 0.5) * STRIDE;
        let (x1, y1) = ((cx - w / 2.0).clamp(0.0, width), (cy - h / 2.0).clamp(0.0, height));
        let (x2, y2) = ((cx + w / 2.0).clamp(0.0, width), (cy + h / 2.0).clamp(0.0, height));
        let landmarks: Landmarks =
            std::array::from_fn(|i| [points[[2 * i + 1, y, x]] * w + x1, points[[2 * i, y, x]] * h + y1]);
        // No face has its nose many pictures away; a network of another kind may say so.
        let most = 8.0 * width.max(height);
        if !landmarks.iter().flatten().chain(&[x1, y1, x2, y2]).all(|v| v.abs() <= most) {
            continue;
        }
        faces.push(Detection { bbox: [x1, y1, x2 - x1, y2 - y1], score, landmarks });
    }
    Ok(faces)
}

/// Greedy non-maximum suppression: strongest first.
fn suppress(mut faces: Vec<Detection>, max_iou: f32) -> Vec<Detection> {
    faces.sort_by(|a, b| b.score.total_cmp(&a.score));
    let mut kept: Vec<Detection> = Vec::new();
    for face in faces {
        if kept.iter().all(|k| iou(&k.bbox, &face.bbox) <= max_iou) {
            kept.push(face);
        }
    }
    kept
}

/// Intersection over union of two boxes.
fn iou(a: &[f32; 4], b: &[f32; 4]) -> f32 {
    let overlap = |i: usize| ((a[i] + a[i + 2]).min(b[i] + b[i + 2]) - a[i].max(b[i])).max(0.0);
    let shared = overlap(0) * overlap(1);
    shared / (a[2] * a[3] + b[2] * b[3] - shared).max(1e-9)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn outputs(h: usize, w: usize) -> Vec<ArrayD<f32>> {
        [1, 2, 2, 10].map(|c| ArrayD::zeros(vec![1, c, h, w])).to_vec()
    }

    #[test]
    fn a_cut_is_black_outside_the_picture() {
        let picture = RgbImage::from_fn(9, 6, |x, y| image::Rgb([(x * 20 + 1) as u8, (y * 40 + 1) as u8, 7]));
        for side in [0, 1, 4, 12] {
            for (x0, y0) in [(2, 1), (-3, -2), (7, 4), (-20, 1), (3, 40), (9, 0), (0, -12)] {
                let pixel = |x: u32, y: u32| {
                    let at = |start: i64, v: u32| u32::try_from(start + i64::from(v)).ok();
                    let inside = at(x0, x).zip(at(y0, y)).and_then(|(x, y)| picture.get_pixel_checked(x, y));
                    inside.copied().unwrap_or(image::Rgb([0; 3]))
                };
                let expected = RgbImage::from_fn(side, side, pixel);
                assert_eq!(crop(&picture, x0, y0, side as usize), expected, "{side} at {x0}, {y0}");
            }
        }
    }

    #[test]
    fn a_cell_decodes_to_its_box() {
        let mut o = outputs(16, 16);
        o[0][[0, 0, 5, 7]] = 0.9;
        o[1][[0, 0, 5, 7]] = (24.0f32 / 4.0).ln();
        o[1][[0, 1, 5, 7]] = (16.0f32 / 4.0).ln();
        o[3][[0, 1, 5, 7]] = 0.5;
        o[3][[0, 0, 5, 7]] = 0.25;
        let faces = decode(&o, 0, (64, 64), 0.5).unwrap();
        assert_eq!(faces.len(), 1);
        let b = faces[0].bbox;
        assert!((b[0] - 22.0).abs() < 1e-3 && (b[1] - 10.0).abs() < 1e-3 && (b[2] - 16.0).abs() < 1e-3, "{b:?}");
        let eye = faces[0].landmarks[0];
        assert!((eye[0] - 30.0).abs() < 1e-3 && (eye[1] - 16.0).abs() < 1e-3, "{eye:?}");
    }

    #[test]
    fn outputs_of_another_network_are_refused() {
        assert!(decode(&outputs(4, 4)[..3], 0, (16, 16), 0.5).is_err());
        let mut o = outputs(4, 4);
        o.swap(0, 1);
        assert!(decode(&o, 0, (16, 16), 0.5).is_err());
        assert!(decode(&outputs(4, 4), 1, (16, 16), 0.5).is_err());
    }

    #[test]
    fn suppression_keeps_the_strongest_and_the_apart() {
        let face = |x: f32, score: f32| Detection { bbox: [x, 0.0, 10.0, 10.0], score, landmarks: [[0.0; 2]; 5] };
        let kept = suppress(vec![face(0.0, 0.6), face(1.0, 0.9), face(30.0, 0.5)], 0.3);
        assert_eq!(kept.iter().map(|f| f.score).collect::<Vec<_>>(), [0.9, 0.5]);
    }
}
