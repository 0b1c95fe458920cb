//! PySceneDetect's detectors (<https://www.scenedetect.com>, version 0.7.2) under its names and
//! with its defaults, for who comes from there and wants the same cuts.
//!
//! A [`Meter`] makes one number of each frame. The cuts follow from the numbers alone
//! ([`cuts`]), so that another threshold needs no other scan.
//!
//! As there, the picture is sampled down to 256 columns first, without averaging, and turned
//! into BGR as FFmpeg does where nothing is said about colours (BT.601).

mod edges;

use super::Detector;
use crate::error::{Error, Result};
use crate::frame::{Frame, Picture};
use serde::{Deserialize, Serialize};
use std::f64::consts::PI;
use std::ops::RangeInclusive;
use std::sync::LazyLock;

/// Columns at which pictures are compared.
const WIDTH: f64 = 256.0;

/// Times closer than this count as equal: seconds as floats against the exact fractions there.
const TIME_TOLERANCE_S: f64 = 1e-6;

/// What to do with cuts that follow each other sooner than the shortest scene.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum FilterMode {
    /// Make one of them.
    Merge,
    /// Keep the first.
    Suppress,
}

/// How much each part of a difference counts.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Weights {
    /// Hue, 0–179.
    pub delta_hue: f64,
    /// Saturation, 0–255.
    pub delta_sat: f64,
    /// The largest of red, green and blue, 0–255.
    pub delta_lum: f64,
    /// Edges, 0 or 255.
    #[serde(default)]
    pub delta_edges: f64,
}

/// Parameters of `content`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Content {
    /// Weighted mean difference that is a cut, 0–255.
    pub threshold: f64,
    /// Shortest scene in seconds.
    pub min_scene_len_s: f64,
    /// Weights of the difference.
    pub weights: Weights,
    /// Brightness only.
    pub luma_only: bool,
    /// Side of the square that edges are thickened by, odd and at least 3; by default as fits the picture.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub kernel_size: Option<usize>,
    /// What to do with cuts that come too soon.
    pub filter_mode: FilterMode,
}

/// Parameters of `adaptive`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Adaptive {
    /// How many times a cut's difference exceeds the mean around it.
    pub threshold: f64,
    /// Smallest difference of a cut, 0–255.
    pub min_content_val: f64,
    /// Frames on each side that make the mean.
    pub frame_window: usize,
    /// Shortest scene in seconds.
    pub min_scene_len_s: f64,
    /// Weights of the difference.
    pub weights: Weights,
    /// Brightness only.
    pub luma_only: bool,
    /// Side of the square that edges are thickened by, odd and at least 3; by default as fits the picture.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub kernel_size: Option<usize>,
}

/// Parameters of `hash`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Hash {
    /// Share of differing bits that is a cut.
    pub threshold: f64,
    /// Side of the square of frequencies that are hashed, at most 32.
    pub size: usize,
    /// How many times larger the picture's side is than `size`, at most 8.
    pub lowpass: usize,
    /// Shortest scene in seconds.
    pub min_scene_len_s: f64,
}

/// Parameters of `hist`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Hist {
    /// 1 less the correlation of two histograms that is a cut.
    pub threshold: f64,
    /// Bins of the histogram, at most 256.
    pub bins: usize,
    /// Shortest scene in seconds.
    pub min_scene_len_s: f64,
}

/// Parameters of `threshold`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Threshold {
    /// Mean of red, green and blue below which the picture is black, 0–255.
    pub threshold: f64,
    /// Where between fading out (−1) and fading in (1) the cut lies.
    pub fade_bias: f64,
    /// Shortest time in black, in seconds.
    pub min_out_len_s: f64,
    /// A cut where the video ends in black.
    pub add_last_scene: bool,
    /// Shortest scene in seconds.
    pub min_scene_len_s: f64,
}

/// The global default of `min-scene-len`.
const MIN_SCENE_LEN_S: f64 = 0.6;

impl Default for Weights {
    fn default() -> Self {
        Self { delta_hue: 1.0, delta_sat: 1.0, delta_lum: 1.0, delta_edges: 0.0 }
    }
}

impl Default for Content {
    fn default() -> Self {
        Self {
            threshold: 27.0,
            min_scene_len_s: MIN_SCENE_LEN_S,
            weights: Weights::default(),
            luma_only: false,
            kernel_size: None,
            filter_mode: FilterMode::Merge,
        }
    }
}

impl Default for Adaptive {
    fn default() -> Self {
        Self {
            threshold: 3.0,
            min_content_val: 15.0,
            frame_window: 2,
            min_scene_len_s: MIN_SCENE_LEN_S,
            weights: Weights::default(),
            luma_only: false,
            kernel_size: None,
        }
    }
}

impl Default for Hash {
    fn default() -> Self {
        Self { threshold: 0.35, size: 8, lowpass: 2, min_scene_len_s: MIN_SCENE_LEN_S }
    }
}

impl Default for Hist {
    fn default() -> Self {
        Self { threshold: 0.2, bins: 128, min_scene_len_s: MIN_SCENE_LEN_S }
    }
}

impl Default for Threshold {
    fn default() -> Self {
        Self {
            threshold: 12.0,
            fade_bias: 0.0,
            min_out_len_s: 0.1,
            add_last_scene: true,
            min_scene_len_s: MIN_SCENE_LEN_S,
        }
    }
}

/// Refuses parameters with which a detector cannot work.
pub fn check(detector: &Detector) -> Result<()> {
    let within = |name: &str, value: usize, range: RangeInclusive<usize>| {
        let (least, most) = (range.start(), range.end());
        let text = || format!("detector: {name} is {value}, expected {least} to {most}");
        if range.contains(&value) { Ok(()) } else { Err(Error::Usage(text())) }
    };
    let kernel = |size: Option<usize>| match size {
        Some(size) if size % 2 == 0 => {
            Err(Error::Usage(format!("detector: kernel_size is {size}, expected an odd number")))
        }
        Some(size) => within("kernel_size", size, 3..=255),
        None => Ok(()),
    };
    match detector {
        Detector::Content(c) => kernel(c.kernel_size),
        Detector::Adaptive(a) => within("frame_window", a.frame_window, 1..=1000).and(kernel(a.kernel_size)),
        Detector::Hash(h) => within("size", h.size, 2..=32).and(within("lowpass", h.lowpass, 1..=8)),
        Detector::Hist(h) => within("bins", h.bins, 1..=256),
        _ => Ok(()),
    }
}

/// Makes one number of each frame, by what came before.
pub struct Meter {
    detector: Detector,
    last: Last,
}

/// Whether two detectors cut by the same numbers, so that one measurement serves both: they
/// may differ in their thresholds.
pub fn same_numbers(a: &Detector, b: &Detector) -> bool {
    let content = |detector: &Detector| match detector {
        Detector::Content(Content { weights, luma_only, kernel_size, .. })
        | Detector::Adaptive(Adaptive { weights, luma_only, kernel_size, .. }) => {
            Some((*weights, *luma_only, *kernel_size))
        }
        _ => None,
    };
    match (a, b) {
        (Detector::Hash(a), Detector::Hash(b)) => (a.size, a.lowpass) == (b.size, b.lowpass),
        (Detector::Hist(a), Detector::Hist(b)) => a.bins == b.bins,
        (Detector::Threshold(_), Detector::Threshold(_)) => true,
        (a, b) => content(a).is_some_and(|a| Some(a) == content(b)),
    }
}

/// What is kept of the frame before.
enum Last {
    None,
    /// And whether each pixel is near an edge, where that counts.
    Hsv(Vec<[u8; 3]>, Vec<bool>),
    Hash(Vec<bool>),
    Histogram(Vec<f64>),
}

impl Meter {
    /// For one of PySceneDetect's detectors, `None` for another. The parameters that only
    /// [`cuts`] uses do not matter here.
    pub fn new(detector: &Detector) -> Result<Option<Self>> {
        check(detector)?;
        Ok((*detector != Detector::Default).then(|| Self { detector: detector.clone(), last: Last::None }))
    }

    /// The number of the next frame: a difference to the one before, or its brightness.
    pub fn measure(&mut self, frame: &Frame<'_>) -> f64 {
        let layout = frame.layout();
        let scale = (layout.width.max(layout.height) as f64 / WIDTH).max(1.0);
        let side = |length: usize| ((length as f64 / scale).round_ties_even() as usize).max(1);
        let picture = frame.sampled_bgr(side(layout.width), side(layout.height));
        match &self.detector {
            Detector::Content(Content { weights, luma_only, kernel_size, .. })
            | Detector::Adaptive(Adaptive { weights, luma_only, kernel_size, .. }) => {
                let only_luma = Weights { delta_hue: 0.0, delta_sat: 0.0, delta_lum: 1.0, delta_edges: 0.0 };
                let weights = if *luma_only { only_luma } else { *weights };
                let hsv = to_hsv(&picture.pixels);
                let values: Vec<u8> = hsv.iter().map(|&[.., value]| value).collect();
                let near_edges = match weights.delta_edges > 0.0 {
                    true => edges::edges(&values, picture.width, *kernel_size),
                    false => Vec::new(),
                };
                let difference = match &self.last {
                    Last::Hsv(last, last_edges) if last.len() == hsv.len() => {
                        let moved = last_edges.iter().zip(&near_edges).filter(|(a, b)| a != b).count();
                        content_difference(last, &hsv, 255 * moved as u64, weights)
                    }
                    _ => 0.0,
                };
                self.last = Last::Hsv(hsv, near_edges);
                difference
            }
            Detector::Hash(Hash { size, lowpass, .. }) => {
                let hash = perceptual_hash(&picture, *size, *lowpass);
                let differing = match &self.last {
                    Last::Hash(last) => last.iter().zip(&hash).filter(|(a, b)| a != b).count(),
                    _ => 0,
                };
                let share = differing as f64 / hash.len() as f64;
                self.last = Last::Hash(hash);
                share
            }
            Detector::Hist(Hist { bins, .. }) => {
                let histogram = luma_histogram(&picture, *bins);
                let difference = match &self.last {
                    Last::Histogram(last) => 1.0 - correlation(last, &histogram),
                    _ => 0.0,
                };
                self.last = Last::Histogram(histogram);
                difference
            }
            Detector::Threshold(_) | Detector::Default => {
                let sum: u64 = picture.pixels.iter().flatten().map(|&v| u64::from(v)).sum();
                sum as f64 / (3 * picture.pixels.len()) as f64
            }
        }
    }
}

/// `whole / i` for all bytes `i`, with 12 bits after the point; 0 for 0.
fn fractions(whole: f64) -> [i32; 256] {
    std::array::from_fn(|i| if i == 0 { 0 } else { (whole * 4096.0 / i as f64).round_ties_even() as i32 })
}

/// Hue (0–179), saturation and value of BGR pixels, in OpenCV's fixed-point arithmetic.
fn to_hsv(pixels: &[[u8; 3]]) -> Vec<[u8; 3]> {
    static TABLES: LazyLock<[[i32; 256]; 2]> = LazyLock::new(|| [fractions(255.0), fractions(30.0)]);
    let [by_value, by_range] = &*TABLES;
    let pixel = |&[b, g, r]: &[u8; 3]| {
        let value = b.max(g).max(r);
        let range = value - b.min(g).min(r);
        let (b, g, r, whole) = (i32::from(b), i32::from(g), i32::from(r), i32::from(range));
        let sector = match i32::from(value) {
            v if v == r => g - b,
            v if v == g => b - r + 2 * whole,
            _ => r - g + 4 * whole,
        };
        let saturation = (whole * by_value[usize::from(value)] + 2048) >> 12;
        let hue = (sector * by_range[usize::from(range)] + 2048) >> 12;
        [if hue < 0 { hue + 180 } else { hue } as u8, saturation as u8, value]
    };
    pixels.iter().map(pixel).collect()
}

/// Weighted mean of the mean absolute differences; `edges` is the sum of those of edges.
fn content_difference(last: &[[u8; 3]], hsv: &[[u8; 3]], edges: u64, weights: Weights) -> f64 {
    let mut sums = [0, 0, 0, edges];
    for (a, b) in last.iter().zip(hsv) {
        for (sum, (a, b)) in sums.iter_mut().zip(a.iter().zip(b)) {
            *sum += u64::from(a.abs_diff(*b));
        }
    }
    let weights = [weights.delta_hue, weights.delta_sat, weights.delta_lum, weights.delta_edges];
    let total: f64 = weights.iter().map(|w| w.abs()).sum();
    let sum: f64 = sums.iter().zip(weights).map(|(&sum, w)| sum as f64 * w).sum();
    if total > 0.0 { sum / hsv.len() as f64 / total } else { 0.0 }
}

/// Luma of a BGR pixel as OpenCV's conversion to grey rounds it.
fn grey([b, g, r]: [u8; 3]) -> u8 {
    ((9798 * u32::from(r) + 19235 * u32::from(g) + 3735 * u32::from(b) + 16384) >> 15) as u8
}

/// The same as its conversion to YUV rounds it.
fn luma([b, g, r]: [u8; 3]) -> u8 {
    ((4899 * u32::from(r) + 9617 * u32::from(g) + 1868 * u32::from(b) + 8192) >> 14) as u8
}

/// Signs of the lowest frequencies of luma against their median.
fn perceptual_hash(picture: &Picture, size: usize, lowpass: usize) -> Vec<bool> {
    let side = size * lowpass;
    let small = area_resized(picture, side);
    // The first `size` rows of the cosine transform.
    let basis: Vec<f64> = (0..size)
        .flat_map(|k| {
            let norm = if k == 0 { (1.0 / side as f64).sqrt() } else { (2.0 / side as f64).sqrt() };
            (0..side).map(move |i| norm * (PI * (2 * i + 1) as f64 * k as f64 / (2 * side) as f64).cos())
        })
        .collect();
    let dot = |a: &[f64], b: &mut dyn Iterator<Item = f64>| a.iter().zip(b).map(|(a, b)| a * b).sum::<f64>();
    let rows: Vec<f64> = small
        .chunks_exact(side)
        .flat_map(|row| basis.chunks_exact(side).map(|wave| dot(wave, &mut row.iter().copied())).collect::<Vec<_>>())
        .collect();
    let frequencies: Vec<f64> = basis
        .chunks_exact(side)
        .flat_map(|wave| {
            (0..size).map(|k| dot(wave, &mut rows.iter().skip(k).step_by(size).copied())).collect::<Vec<_>>()
        })
        .collect();
    let mut sorted = frequencies.clone();
    sorted.sort_by(f64::total_cmp);
    let median = (sorted[(sorted.len() - 1) / 2] + sorted[sorted.len() / 2]) / 2.0;
    frequencies.into_iter().map(|v| v > median).collect()
}

/// Luma of a picture on a square grid, each cell the mean of what it covers, rounded.
fn area_resized(picture: &Picture, side: usize) -> Vec<f64> {
    let grey: Vec<f64> = picture.pixels.iter().map(|&pixel| f64::from(grey(pixel))).collect();
    // For each cell the samples that it covers, and how much of them.
    let covers = |length: usize| -> Vec<Vec<(usize, f64)>> {
        let step = length as f64 / side as f64;
        let cell = |i: usize| {
            let (from, to) = (i as f64 * step, (i + 1) as f64 * step);
            let part = |at: usize| (to.min((at + 1) as f64) - from.max(at as f64)) / step;
            (from as usize..length.min(to.ceil() as usize)).map(|at| (at, part(at))).filter(|p| p.1 > 1e-9).collect()
        };
        (0..side).map(cell).collect()
    };
    let (columns, rows) = (covers(picture.width), covers(picture.pixels.len() / picture.width));
    let mut cells = Vec::with_capacity(side * side);
    for row in &rows {
        for column in &columns {
            let line = |y: usize| column.iter().map(|&(x, part)| part * grey[y * picture.width + x]).sum::<f64>();
            cells.push(row.iter().map(|&(y, part)| part * line(y)).sum::<f64>().round_ties_even());
        }
    }
    cells
}

fn luma_histogram(picture: &Picture, bins: usize) -> Vec<f64> {
    let mut histogram = vec![0.0; bins];
    picture.pixels.iter().for_each(|&pixel| histogram[usize::from(luma(pixel)) * bins / 256] += 1.0);
    histogram
}

/// Pearson's correlation of two histograms; 1 where one of them does not vary.
fn correlation(a: &[f64], b: &[f64]) -> f64 {
    let n = a.len() as f64;
    let (mean_a, mean_b) = (a.iter().sum::<f64>() / n, b.iter().sum::<f64>() / n);
    let (mut aa, mut bb, mut ab) = (0.0, 0.0, 0.0);
    for (a, b) in a.iter().zip(b) {
        let (a, b) = (a - mean_a, b - mean_b);
        (aa, bb, ab) = (aa + a * a, bb + b * b, ab + a * b);
    }
    if aa * bb > f64::EPSILON { ab / (aa * bb).sqrt() } else { 1.0 }
}

/// First frames of new scenes, from the times in seconds and the numbers of all frames.
pub fn cuts(detector: &Detector, times_s: &[f64], values: &[f32]) -> Vec<usize> {
    let long_enough = |from: usize, to: usize, least_s: f64| times_s[to] - times_s[from] >= least_s - TIME_TOLERANCE_S;
    let apart = |is_cut: &dyn Fn(usize) -> bool, frames: std::ops::Range<usize>, least_s: f64| {
        let (mut found, mut last) = (Vec::new(), 0);
        for frame in frames {
            if is_cut(frame) && long_enough(last, frame, least_s) {
                found.push(frame);
                last = frame;
            }
        }
        found
    };
    let value = |frame: usize| f64::from(values[frame]);
    let frames = times_s.len().min(values.len());
    match detector {
        Detector::Default => Vec::new(),
        Detector::Content(c) => {
            let above = |frame: usize| value(frame) >= c.threshold;
            match c.filter_mode {
                _ if c.min_scene_len_s <= 0.0 => (0..frames).filter(|&f| above(f)).collect(),
                FilterMode::Suppress => apart(&above, 0..frames, c.min_scene_len_s),
                FilterMode::Merge => merged(above, frames, |from, to| long_enough(from, to, c.min_scene_len_s)),
            }
        }
        Detector::Adaptive(a) => {
            let window = a.frame_window;
            let is_cut = |frame: usize| {
                let around = (frame - window..=frame + window).filter(|&f| f != frame).map(value).sum::<f64>();
                let mean = around / (2 * window) as f64;
                let ratio = if mean.abs() < 1e-5 { 255.0 } else { (value(frame) / mean).min(255.0) };
                value(frame) >= a.min_content_val && ratio >= a.threshold
            };
            apart(&is_cut, window..frames.saturating_sub(window).max(window), a.min_scene_len_s)
        }
        Detector::Hash(h) => apart(&|f| f > 0 && value(f) >= h.threshold, 0..frames, h.min_scene_len_s),
        Detector::Hist(h) => {
            let limit = h.threshold.clamp(0.0, 1.0);
            apart(&|f| f > 0 && value(f) >= limit, 0..frames, h.min_scene_len_s)
        }
        Detector::Threshold(t) => {
            // There the threshold is cut off to a whole number.
            let dark = |frame: usize| value(frame) < t.threshold.trunc();
            let (mut found, mut last_cut, mut since) = (Vec::new(), 0, 0);
            for frame in 1..frames {
                if dark(frame) == dark(frame - 1) {
                    continue;
                }
                let (scene, black) = (t.min_scene_len_s, t.min_out_len_s);
                if !dark(frame) && long_enough(last_cut, frame, scene) && long_enough(since, frame, black) {
                    let length = (frame - since) as f64;
                    found
                        .push(since + (length * (1.0 + t.fade_bias.clamp(-1.0, 1.0)) / 2.0).round_ties_even() as usize);
                    last_cut = frame;
                }
                since = frame;
            }
            let end = frames.saturating_sub(1);
            // The last frame counts as long as the one before.
            let black_s = if end > 0 { 2.0 * times_s[end] - times_s[end - 1] - times_s[since] } else { 0.0 };
            let long = frames > 0 && long_enough(last_cut, end, t.min_scene_len_s) && black_s >= t.min_out_len_s;
            if t.add_last_scene && long && dark(end) {
                found.push(since);
            }
            found
        }
    }
}

/// The filter `merge`: where cuts follow each other too soon, one is left, the last of them.
fn merged(above: impl Fn(usize) -> bool, frames: usize, long_enough: impl Fn(usize, usize) -> bool) -> Vec<usize> {
    let mut found = Vec::new();
    let (mut last_above, mut merging_since) = (0, None);
    for frame in 0..frames {
        let (above, enough) = (above(frame), long_enough(last_above, frame));
        if above {
            last_above = frame;
        }
        match merging_since {
            Some(since) if enough && !above && long_enough(since, last_above) => {
                found.push(last_above);
                merging_since = None;
            }
            Some(_) => {}
            None if above && enough => found.push(frame),
            // Nothing is merged into the beginning of the video.
            None if above && !found.is_empty() => merging_since = Some(frame),
            None => {}
        }
    }
    found
}
