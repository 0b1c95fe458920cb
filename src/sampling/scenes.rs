//! Shot boundaries, in one streaming pass with a short look-ahead.
//!
//! * **Cuts**: a jump between successive frames that stands out from the
//!   movement around it, changes most of the picture (a caption does not) and its
//!   structure (a change of exposure does not), and lasts: when the picture of
//!   before comes back within [`FLASH_FRAMES`], it was a flash (A-B-A).
//! * **Dissolves and fades**: frames that lie on the way from one picture to
//!   another. Each frame of a dissolve is a linear blend of its two ends
//!   (Lienhart, "Comparison of automatic shot boundary detection algorithms",
//!   1999); movement is not.
//! * **Wipes**: each part of the picture is that of before or that of after, and
//!   an edge between them sweeps over it.
//! * **Pushes**: one picture moves in as far as the other moves out, from rest to
//!   rest; a pan does not replace the whole picture by another.
//!
//! Short stretches of blends and wipes are found ([`GRADUAL_SPANS`]) and joined.
//!
//! All differences are those of [`Thumb::difference`], on a 32 × 18 grid.

use super::features::{Features, Thumb};
use super::mixture::{self, Direction, Mixture};
use serde::{Deserialize, Serialize};
use std::cell::RefCell;
use std::collections::{BTreeMap, VecDeque};
use std::ops::Range;

/// How a scene begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum TransitionKind {
    /// The first scene of the video.
    Start,
    /// From one frame to the next.
    Cut,
    /// One picture blends into the other.
    Dissolve,
    /// Through black or white.
    Fade,
    /// The new picture covers the old one or pushes it out.
    Wipe,
}

/// A boundary between two scenes.
#[derive(Clone, Debug, PartialEq)]
pub struct Boundary {
    /// How the scenes change.
    pub kind: TransitionKind,
    /// First frame of the new scene (for a gradual one: the first without a
    /// trace of the old scene).
    pub frame: u64,
    /// First mixed frame of a gradual transition; equal to `frame` for a cut.
    pub from: u64,
}

/// What the detector has found.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct SceneMap {
    /// Boundaries in order.
    pub boundaries: Vec<Boundary>,
    /// Half-open ranges of frames spoilt by a flash or by something that passed in front.
    pub flashes: Vec<(u64, u64)>,
    /// Half-open ranges that look mixed but lead to no other scene, so far as can be told.
    pub doubtful: Vec<(u64, u64)>,
}

impl SceneMap {
    /// Half-open ranges of frames in a gradual transition, or up to `margin` frames from it, in what
    /// may be one, or in a flash.
    pub fn spoilt(&self, margin: u64) -> impl Iterator<Item = Range<u64>> {
        let gradual = self.boundaries.iter().filter(|b| b.from < b.frame);
        let gradual = gradual.map(move |b| b.from.saturating_sub(margin)..b.frame + margin);
        gradual.chain(self.flashes.iter().chain(&self.doubtful).map(|&(from, to)| from..to))
    }
}

/// A flash lasts at most this many frames.
pub const FLASH_FRAMES: usize = 4;
/// Lengths in frames at which stretches of a gradual transition are looked for.
pub const GRADUAL_SPANS: [usize; 3] = [8, 16, 32];

/// Smallest difference between successive frames that can be a cut.
const CUT_DIFFERENCE: f32 = 9.0;
/// A cut differs this many times as much as the frames around it …
const CUT_RATIO: f32 = 2.8;
/// … or this many times, where the picture keeps much of its structure: a jump
/// cut within a still shot, but not a jerk of the camera.
const JUMP_CUT_RATIO: f32 = 7.0;
/// Correlation of luma below which the structure has changed.
const CUT_CORRELATION: f32 = 0.75;
/// Correlation above which it is the same picture, differently exposed.
const SAME_CORRELATION: f32 = 0.92;
/// Share of the picture that a change of scene changes; a caption or a title changes less.
const CHANGED_SHARE: f32 = 0.4;
/// Frames on each side whose movement a cut is held against; also the look-ahead.
const NEIGHBOURS: usize = 5;
/// What must remain of a cut's difference while the look-ahead lasts.
const CUT_PERSISTS: f32 = 0.5;

/// Smallest difference between the two ends of a stretch of blends.
const GRADUAL_DIFFERENCE: f32 = 18.0;
/// Largest distance of its frames from a blend of the ends, as a share of the
/// ends' difference.
const BLEND_RESIDUAL: f32 = 0.16;
/// Largest part of the way from one end to the other in one frame: more is a jump.
const GRADUAL_STEP: f32 = 0.45;
/// Closer than this share to one of the ends, a frame counts as that end.
const PURE_SHARE: f32 = 0.04;
/// The same for wipes, whose parts go on moving …
const WIPE_RESIDUAL: f32 = 0.2;
/// … and the share of the picture that may lie on the wrong side of the edge.
const WIPE_ASTRAY: f32 = 0.12;
/// Smallest step between successive frames of a push.
const PUSH_DIFFERENCE: f32 = 6.0;
/// A push ends where the step drops below this share of the steps before, and
/// began where they rose above it.
const PUSH_REST: f32 = 0.35;
/// Frames of the shortest and the longest push.
const PUSH_FRAMES: std::ops::RangeInclusive<usize> = 4..=40;
/// Largest mean distance of a push's frames from what the push explains, as a
/// share of the ends' difference …
const PUSH_RESIDUAL: f32 = 0.28;
/// … and of what the next best direction explains: fades and exposure changes
/// look as much like a push one way as another.
const PUSH_DIRECTED: f32 = 0.5;
/// Stretches at most this many frames apart belong to one transition.
const GRADUAL_GAP: u64 = 8;
/// … or this many, where a fade rests on black or white.
const PLAIN_GAP: u64 = 48;
/// What passes in front of the camera spoils at most this many frames.
const PASSING_FRAMES: u64 = 48;
/// A transition has at least and at most this many mixed frames.
const GRADUAL_FRAMES: std::ops::RangeInclusive<u64> = 4..=96;
/// A gradual transition changes the picture this many times as fast as the
/// calmer of its two sides.
const GRADUAL_RATIO: f32 = 1.5;
/// Mixed frames without calm sides, which may be a dissolve between moving pictures or a pan, are
/// doubtful up to this length: a pan that goes on is longer.
const DOUBTFUL_FRAMES: u64 = 40;
/// Frames of the shortest scene that a gradual transition can lead to.
const SHORTEST_SCENE: u64 = 5;
/// Below this contrast a picture is black, white or plain.
const PLAIN_CONTRAST: f32 = 6.0;

/// Frames held: those before the one under decision, and those after it. Enough for
/// the longest transition, the longest rest on black, and what surrounds them.
const HISTORY: usize = 160;

/// How much a change must stand out.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Sensitivity {
    /// More: fewer, surer boundaries.
    Low,
    /// As this module's constants say.
    #[default]
    Normal,
    /// Less: subtle changes count as well.
    High,
}

impl Sensitivity {
    /// All levels. A scan detects at each of them, so that another one needs no other scan.
    pub const ALL: [Sensitivity; 3] = [Sensitivity::Low, Sensitivity::Normal, Sensitivity::High];

    /// What least differences are divided by, and largest residuals multiplied.
    fn factor(self) -> f32 {
        match self {
            Sensitivity::Low => 0.7,
            Sensitivity::Normal => 1.0,
            Sensitivity::High => 1.4,
        }
    }
}

/// The streaming detector, at all levels of sensitivity.
pub struct SceneDetector {
    window: Window,
    levels: [Level; 3],
}

/// The latest frames.
#[derive(Default)]
struct Window {
    frames: VecDeque<Seen>,
    /// Index of the next frame to come.
    next: u64,
    /// What the levels all ask of the frame under decision.
    asked: RefCell<Asked>,
}

/// Answers that do not depend on the level, by positions in the window.
#[derive(Default)]
struct Asked {
    push: Option<bool>,
    blends: BTreeMap<(usize, usize), Mixture>,
    wipes: BTreeMap<(usize, usize), Option<Mixture>>,
}

/// What one level has found.
#[derive(Default)]
struct Level {
    sensitivity: Sensitivity,
    /// A gradual transition that may still grow.
    gradual: Option<Gradual>,
    /// Up to here gradual transitions have been decided.
    settled: u64,
    map: SceneMap,
}

struct Seen {
    thumb: Thumb,
    /// Difference to the frame before.
    step: f32,
}

/// Stretches of blends, joined: half-open range of mixed frames, and the
/// pictures that it leads from and to.
struct Gradual {
    from: u64,
    to: u64,
    first: Thumb,
    last: Thumb,
    /// Passes through a plain picture.
    plain: bool,
    /// Stretches that were blends, less those that were wipes.
    blends: i32,
}

/// Positions in the window of the first and the last frame of a stretch of mixed frames.
struct Stretch {
    first: usize,
    last: usize,
    is_wipe: bool,
}

impl Gradual {
    fn gap(&self) -> u64 {
        if self.last.contrast() < PLAIN_CONTRAST { PLAIN_GAP } else { GRADUAL_GAP }
    }
}

impl Default for SceneDetector {
    fn default() -> Self {
        let level = |sensitivity| Level { sensitivity, ..Level::default() };
        Self { window: Window::default(), levels: Sensitivity::ALL.map(level) }
    }
}

impl SceneDetector {
    /// First frames of the scenes found so far at a level, the first aside; gradual transitions under way are not
    /// among them.
    pub fn starts_so_far(&self, sensitivity: Sensitivity) -> impl Iterator<Item = u64> {
        self.levels[sensitivity as usize].map.boundaries.iter().map(|boundary| boundary.frame)
    }

    /// Whether a frame is spoilt ([`SceneMap::spoilt`]) at all levels; `None` where frames to come decide that.
    pub fn is_spoilt(&self, frame: u64, margin: u64) -> Option<bool> {
        /// What is found at a frame began at most so many before it.
        const REACH: usize = *PUSH_FRAMES.end();
        const _: () = assert!(GRADUAL_SPANS[2] <= REACH, "stretches of blends are shorter");
        let ahead = frame + margin + (REACH + NEIGHBOURS) as u64 >= self.window.next;
        // What is too long already comes to nothing.
        let may_count = |gradual: &Gradual| gradual.to - gradual.from <= *GRADUAL_FRAMES.end();
        let covers = |gradual: &Gradual| gradual.from <= frame + margin && may_count(gradual);
        let grows = |level: &Level| level.gradual.as_ref().is_some_and(covers);
        if ahead || self.levels.iter().any(grows) {
            return None;
        }
        Some(self.levels.iter().all(|level| level.map.spoilt(margin).any(|range| range.contains(&frame))))
    }

    /// Takes the next frame in presentation order.
    pub fn push(&mut self, features: &Features) {
        let w = &mut self.window;
        let step = w.frames.back().map_or(0.0, |last| last.thumb.difference(&features.thumb));
        w.frames.push_back(Seen { thumb: features.thumb.clone(), step });
        w.next += 1;
        if w.frames.len() > HISTORY {
            w.frames.pop_front();
        }
        // The frame whose look-ahead has just become complete.
        if w.frames.len() > NEIGHBOURS {
            self.decide(self.window.frames.len() - 1 - NEIGHBOURS);
        }
    }

    fn decide(&mut self, at: usize) {
        self.window.asked.take();
        self.levels.iter_mut().for_each(|level| level.decide(&self.window, at));
    }

    /// Ends the video and hands out the result at each level, in the order of [`Sensitivity::ALL`].
    pub fn finish(mut self) -> [SceneMap; 3] {
        let frames = self.window.frames.len();
        (frames.saturating_sub(NEIGHBOURS)..frames).for_each(|at| self.decide(at));
        self.levels.map(|mut level| {
            level.end_gradual(&self.window);
            level.map
        })
    }
}

impl Window {
    fn blend(&self, frame: usize, first: usize, last: usize) -> Mixture {
        let thumb = |i: usize| &self.frames[i].thumb;
        let blend = || mixture::blend(thumb(frame), thumb(first), thumb(last));
        *self.asked.borrow_mut().blends.entry((first, frame)).or_insert_with(blend)
    }

    /// `ends`: how much the first and the last differ.
    fn wipe(&self, frame: usize, first: usize, last: usize, ends: f32) -> Option<Mixture> {
        let thumb = |i: usize| &self.frames[i].thumb;
        // Most at the level that takes most.
        let most = WIPE_RESIDUAL * Sensitivity::High.factor() * ends;
        let wipe = || mixture::wipe(thumb(frame), thumb(first), thumb(last), WIPE_ASTRAY, most);
        *self.asked.borrow_mut().wipes.entry((first, frame)).or_insert_with(wipe)
    }

    /// Whether one picture pushes another out from `start` to `at`; the two differ by `ends`.
    fn is_push(&self, start: usize, at: usize, ends: f32) -> bool {
        *self.asked.borrow_mut().push.get_or_insert_with(|| self.explains_push(start, at, ends))
    }

    fn explains_push(&self, start: usize, at: usize, ends: f32) -> bool {
        let (a, b, length) = (&self.frames[start - 1].thumb, &self.frames[at].thumb, at - start);
        // No frame moves further than three times the mean.
        let stride = 3.0 / length as f32;
        let residual = |direction| {
            let (mut reached, mut sum) = (0.0, 0.0);
            for i in start..at {
                let mix = mixture::push(&self.frames[i].thumb, a, b, direction, reached, (reached + stride).min(1.0));
                reached = mix.share;
                sum += mix.residual;
            }
            if reached > 1.0 - stride { sum / length as f32 } else { f32::INFINITY }
        };
        let mut residuals = Direction::ALL.map(residual);
        residuals.sort_by(f32::total_cmp);
        residuals[0] <= PUSH_RESIDUAL * ends && residuals[0] <= PUSH_DIRECTED * residuals[1]
    }
}

/// The first and the last mixed frame between two positions, if `explain`
/// explains all of them and the share of the new picture grows steadily.
fn progress(first: usize, last: usize, explain: impl Fn(usize) -> Option<Mixture>) -> Option<(usize, usize)> {
    // Frames near the ends are nearly always explained, by those; the one in the middle rarely is.
    explain(first.midpoint(last))?;
    let mut reached = 0.0;
    let mut mixed: Option<(usize, usize)> = None;
    for i in first + 1..last {
        let share = explain(i)?.share;
        if !(-0.08..=GRADUAL_STEP).contains(&(share - reached)) {
            return None;
        }
        reached = share;
        if (PURE_SHARE..=1.0 - PURE_SHARE).contains(&share) {
            mixed = Some((mixed.map_or(i, |m| m.0), i));
        }
    }
    if 1.0 - reached > GRADUAL_STEP { None } else { mixed }
}

impl Level {
    /// A least difference at this sensitivity.
    fn least(&self, difference: f32) -> f32 {
        difference / self.sensitivity.factor()
    }

    /// A largest residual at this sensitivity.
    fn most(&self, residual: f32) -> f32 {
        residual * self.sensitivity.factor()
    }

    /// Decides whether a scene begins at position `at` of the window.
    fn decide(&mut self, w: &Window, at: usize) {
        if at == 0 {
            return;
        }
        let frame = w.next - (w.frames.len() - at) as u64;
        if self.gradual.as_ref().is_some_and(|g| frame > g.to + g.gap()) {
            self.end_gradual(w);
        }
        if w.frames[at].step >= self.least(CUT_DIFFERENCE) && !self.in_flash(frame) {
            if let Some(range) = self.flash_around(w, at) {
                self.map.flashes.push(range);
            } else if self.is_cut(w, at) {
                // What ends right before a cut leads to no scene: it was movement.
                self.gradual.take_if(|g| g.to + SHORTEST_SCENE > frame);
                self.end_gradual(w);
                self.map.boundaries.push(Boundary { kind: TransitionKind::Cut, frame, from: frame });
                return;
            }
        }
        if let Some(length) = self.push_before(w, at) {
            let from = frame - length as u64;
            self.gradual.take_if(|g| g.to > from);
            self.end_gradual(w);
            // The last step has brought the new picture into place.
            self.map.boundaries.push(Boundary { kind: TransitionKind::Wipe, frame: frame - 1, from });
            return;
        }
        self.grow_gradual(w, at, frame);
    }

    /// Whether the last flash reaches up to the step into `frame`.
    fn in_flash(&self, frame: u64) -> bool {
        self.map.flashes.last().is_some_and(|&(from, to)| (from..=to).contains(&frame))
    }

    fn is_cut(&self, w: &Window, at: usize) -> bool {
        let (before, here) = (&w.frames[at - 1].thumb, &w.frames[at].thumb);
        let correlation = before.correlation(here);
        let prominence = self.prominence(w, at);
        let structure = correlation < CUT_CORRELATION && prominence >= self.least(CUT_RATIO)
            || correlation < SAME_CORRELATION && prominence >= self.least(JUMP_CUT_RATIO);
        structure && before.changed_share(here) >= self.least(CHANGED_SHARE)
    }

    /// How many times the step at `at` exceeds the movement around it. The largest
    /// neighbour on each side is left out: it may be another cut or the edge of a
    /// flash.
    fn prominence(&self, w: &Window, at: usize) -> f32 {
        let side = |range: std::ops::Range<usize>| {
            let mut steps: Vec<f32> = range.map(|i| w.frames[i].step).collect();
            steps.sort_by(f32::total_cmp);
            steps.pop();
            steps.iter().sum::<f32>() / steps.len().max(1) as f32
        };
        let before = side(at.saturating_sub(NEIGHBOURS).max(1)..at);
        let after = side(at + 1..(at + 1 + NEIGHBOURS).min(w.frames.len()));
        w.frames[at].step / before.max(after).max(0.1)
    }

    /// The half-open range of a flash that begins or ends at `at`, if the
    /// picture before it comes back.
    fn flash_around(&self, w: &Window, at: usize) -> Option<(u64, u64)> {
        let step = w.frames[at].step;
        let first = w.next - w.frames.len() as u64;
        let limit = CUT_PERSISTS * step;
        let alike = |a: usize, b: usize| w.frames[a].thumb.difference(&w.frames[b].thumb) < limit;
        for length in 1..=FLASH_FRAMES {
            if at + length < w.frames.len() && alike(at - 1, at + length) {
                return Some((first + at as u64, first + (at + length) as u64));
            }
            if at > length && alike(at - 1 - length, at) {
                return Some((first + (at - length) as u64, first + at as u64));
            }
        }
        None
    }

    /// Frames of the push that has come to rest at `at`, if there is one.
    fn push_before(&self, w: &Window, at: usize) -> Option<usize> {
        let steps = |range: std::ops::Range<usize>| range.map(|i| w.frames[i].step);
        let mut last: Vec<f32> = steps(at.checked_sub(*PUSH_FRAMES.start())?.max(1)..at).collect();
        last.sort_by(f32::total_cmp);
        let speed = *last.get(last.len() / 2)?;
        let rest = PUSH_REST * speed;
        if speed < PUSH_DIFFERENCE || w.frames[at].step >= rest {
            return None;
        }
        let length = steps(1..at).rev().take_while(|&step| step >= rest).count();
        let start = at - length;
        let since_last = w.next - (w.frames.len() - start) as u64;
        let begun = self.map.boundaries.last().is_none_or(|b| b.frame < since_last);
        if !PUSH_FRAMES.contains(&length) || start < 2 || !begun {
            return None;
        }
        let (a, b) = (&w.frames[start - 1].thumb, &w.frames[at].thumb);
        let ends = a.difference(b);
        let plain = [a, b].into_iter().any(|t| t.contrast() < PLAIN_CONTRAST);
        if ends < self.least(GRADUAL_DIFFERENCE) || plain || a.correlation(b) >= SAME_CORRELATION {
            return None;
        }
        w.is_push(start, at, ends).then_some(length)
    }

    /// Adds the stretch of mixed frames that ends before `at`, if there is one.
    fn grow_gradual(&mut self, w: &Window, at: usize, frame: u64) {
        let boundary = self.map.boundaries.last().map_or(0, |b| b.frame);
        let flash = self.map.flashes.last().map_or(0, |f| f.1);
        let earliest = boundary.max(flash).max(self.settled);
        let stretch = GRADUAL_SPANS
            .into_iter()
            .filter(|&span| span <= at && frame - span as u64 >= earliest)
            .find_map(|span| self.mixed_between(w, at - span, at));
        let Some(Stretch { first, last, is_wipe }) = stretch else { return };
        let absolute = |i: usize| frame - (at - i) as u64;
        let (from, to) = (absolute(first), absolute(last) + 1);
        let thumb = |i: usize| w.frames[i].thumb.clone();
        let (before, after) = (thumb(first - 1), thumb(last + 1));
        let plain = (first - 1..=last + 1).any(|i| w.frames[i].thumb.contrast() < PLAIN_CONTRAST);
        match &mut self.gradual {
            Some(g) if from <= g.to + g.gap() => {
                if from < g.from {
                    (g.from, g.first) = (from, before);
                }
                if to > g.to {
                    (g.to, g.last) = (to, after);
                }
                g.plain |= plain;
                g.blends += if is_wipe { -1 } else { 1 };
            }
            _ => {
                self.end_gradual(w);
                let blends = if is_wipe { -1 } else { 1 };
                self.gradual = Some(Gradual { from, to, first: before, last: after, plain, blends });
            }
        }
    }

    /// If the frames between two positions lie on the way from one to the other,
    /// in order and without a jump: those that are mixed.
    fn mixed_between(&self, w: &Window, first: usize, last: usize) -> Option<Stretch> {
        let (a, b) = (&w.frames[first].thumb, &w.frames[last].thumb);
        let ends = a.difference(b);
        if ends < self.least(GRADUAL_DIFFERENCE) {
            return None;
        }
        let (most_blend, most_wipe) = (self.most(BLEND_RESIDUAL) * ends, self.most(WIPE_RESIDUAL) * ends);
        let blend = |i: usize| Some(w.blend(i, first, last)).filter(|m| m.residual <= most_blend);
        let wipe = |i: usize| w.wipe(i, first, last, ends).filter(|m| m.residual <= most_wipe);
        let stretch = |(first, last), is_wipe| Stretch { first, last, is_wipe };
        progress(first, last, blend)
            .map(|mixed| stretch(mixed, false))
            .or_else(|| progress(first, last, wipe).map(|mixed| stretch(mixed, true)))
    }

    /// Whether the frames of a range change faster than those before or those
    /// after it: a pan can look like a slow blend, but it has no calm ends. Frames
    /// that are held no longer do not count.
    fn stands_out(&self, w: &Window, from: u64, to: u64) -> bool {
        let first = w.next - w.frames.len() as u64;
        let median_step = |from: u64, to: u64| {
            let held = from.max(first + 1)..to.min(w.next);
            let mut steps: Vec<f32> = held.map(|frame| w.frames[(frame - first) as usize].step).collect();
            steps.sort_by(f32::total_cmp);
            steps.get(steps.len() / 2).copied().unwrap_or(0.0)
        };
        let scene = self.map.boundaries.last().map_or(0, |b| b.frame);
        let before = median_step(from.saturating_sub(NEIGHBOURS as u64).max(scene + 1), from);
        let after = median_step(to + 1, to + 1 + NEIGHBOURS as u64);
        median_step(from, to + 1) > self.least(GRADUAL_RATIO) * before.min(after)
    }

    fn end_gradual(&mut self, w: &Window) {
        let Some(Gradual { from, to, first, last, plain, blends }) = self.gradual.take() else { return };
        self.settled = to;
        let is_wipe = blends < 0;
        let correlation = first.correlation(&last);
        if is_wipe && correlation >= CUT_CORRELATION {
            // Something has passed in front of the camera; unless it is there all the time.
            if to - from <= PASSING_FRAMES && self.stands_out(w, from, to) {
                self.map.flashes.push((from, to));
            }
            return;
        }
        // What begins with the video is its fade-in, not a change of scene.
        let begun = self.map.boundaries.last().map_or(from > GRADUAL_GAP, |b| from > b.frame);
        let changed = correlation < SAME_CORRELATION && first.changed_share(&last) >= self.least(CHANGED_SHARE);
        if begun && changed && self.stands_out(w, from, to) && GRADUAL_FRAMES.contains(&(to - from)) {
            let kind = match (plain, is_wipe) {
                (true, _) => TransitionKind::Fade,
                (false, false) => TransitionKind::Dissolve,
                (false, true) => TransitionKind::Wipe,
            };
            self.map.boundaries.push(Boundary { kind, frame: to, from });
        } else if begun && changed && to - from <= DOUBTFUL_FRAMES {
            self.map.doubtful.push((from, to));
        }
    }
}
