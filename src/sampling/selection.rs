//! The choice of frames under a budget.
//!
//! Stated as a problem: from the candidates, choose at most `budget` such that
//! every scene has one and the smallest distance between any two chosen frames
//! is as large as possible. That is k-center on a partition; the greedy
//! farthest-first traversal used here is a 2-approximation of its
//! unconstrained form (Gonzalez, "Clustering to minimize the maximum
//! intercluster distance", 1985). It stops before the budget when all that is
//! left looks like something already chosen: fewer frames, not more duplicates.
//!
//! Among frames that are equally far from the rest, sharper ones and, when
//! asked for, ones with better faces win. The result depends on the input alone.

use super::hash::PictureHash;
use serde::{Deserialize, Serialize};

/// How faces count in the choice.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum FacesMode {
    /// Not at all.
    Ignore,
    /// Frames with good faces come first.
    #[default]
    Prefer,
    /// Only frames with a face.
    Require,
}

/// What the choice sees of one candidate frame.
#[derive(Clone, Debug)]
pub struct Item {
    /// Scene the frame belongs to.
    pub scene: usize,
    /// Focus measure; compared within a scene only.
    pub sharpness: f32,
    /// Perceptual hash.
    pub phash: PictureHash,
    /// Coarse colours.
    pub colors: [u8; 36],
    /// Quality of its best face, 0–1; 0 without a face.
    pub face: f32,
    /// Why it must not be chosen, if so.
    pub spoilt: Option<Reason>,
}

/// Why a candidate was not chosen.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Reason {
    /// It looks like a chosen frame.
    LookAlike,
    /// It lies in a gradual transition or a flash.
    Transition,
    /// It shows next to nothing: black, white, one colour.
    Blank,
    /// It shows no face, and faces are required.
    NoFace,
    /// The budget was spent on frames that differ more.
    Budget,
}

/// Rules of one choice.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Criteria {
    /// Most frames to choose.
    pub budget: usize,
    /// Frames at least this similar (0–1, see [`similarity_to_bits`]) count as look-alikes.
    pub similarity: f32,
    /// How faces count.
    pub faces: FacesMode,
}

/// Hash distance (in bits of 64) below which two pictures are at least as
/// similar as `similarity`: 1 means equal hashes, 0 the 32 bits in which
/// hashes without doubtful bits differ on average.
pub fn similarity_to_bits(similarity: f32) -> f32 {
    (1.0 - similarity.clamp(0.0, 1.0)) * 32.0
}

/// Chooses items; see the module's text. Returns their positions in order, and
/// for every other item the reason.
pub fn select(items: &[Item], criteria: &Criteria) -> (Vec<usize>, Vec<(usize, Reason)>) {
    let threshold = similarity_to_bits(criteria.similarity);
    let mut choice = Choice::new(items, criteria);
    choice.cover_scenes(threshold);
    choice.spread(threshold);
    let Choice { nearest, chosen, .. } = choice;
    let mut is_chosen = vec![false; items.len()];
    for &i in &chosen {
        is_chosen[i] = true;
    }
    let rejected = (0..items.len())
        .filter(|&i| !is_chosen[i])
        .map(|i| {
            let reason = match items[i].spoilt {
                Some(reason) => reason,
                None if criteria.faces == FacesMode::Require && items[i].face <= 0.0 => Reason::NoFace,
                None if nearest[i] <= threshold => Reason::LookAlike,
                None => Reason::Budget,
            };
            (i, reason)
        })
        .collect();
    let kept = (0..items.len()).filter(|&i| is_chosen[i]).collect();
    (kept, rejected)
}

struct Choice<'a> {
    items: &'a [Item],
    criteria: &'a Criteria,
    /// Distance to the nearest chosen item.
    nearest: Vec<f32>,
    /// Preference among equally distant items, about 0.5–1.5.
    merit: Vec<f32>,
    chosen: Vec<usize>,
}

/// Rounds in which the scenes' frames are arranged around each other.
const MOST_ROUNDS: usize = 8;

/// What colours can add to a distance.
const MOST_COLOR_BITS: f32 = 0.4;

/// Distance of two pictures: differing hash bits, plus up to some bits for
/// colours that the hash (luma only) cannot see.
fn distance(a: &Item, b: &Item) -> f32 {
    let bits = a.phash.distance(b.phash);
    let colors: u32 = a.colors.iter().zip(&b.colors).map(|(&a, &b)| u32::from(a.abs_diff(b))).sum();
    // Colours only decide between pictures of equal structure: distances of hashes
    // come in steps of half a bit.
    bits + (colors as f32 / (8.0 * a.colors.len() as f32)).min(MOST_COLOR_BITS)
}

impl<'a> Choice<'a> {
    fn new(items: &'a [Item], criteria: &'a Criteria) -> Self {
        let scenes = items.iter().map(|i| i.scene + 1).max().unwrap_or(0);
        let mut sharpest = vec![f32::MIN_POSITIVE; scenes];
        for item in items.iter().filter(|i| i.spoilt.is_none()) {
            sharpest[item.scene] = sharpest[item.scene].max(item.sharpness);
        }
        let merit = items
            .iter()
            .map(|i| {
                let sharp = (i.sharpness / sharpest[i.scene]).min(1.0);
                let face = if criteria.faces == FacesMode::Ignore { 0.0 } else { i.face };
                0.5 + 0.5 * sharp + 0.5 * face
            })
            .collect();
        Self { items, criteria, nearest: vec![f32::INFINITY; items.len()], merit, chosen: vec![] }
    }

    fn eligible(&self, i: usize) -> bool {
        let item = &self.items[i];
        item.spoilt.is_none() && (self.criteria.faces != FacesMode::Require || item.face > 0.0)
    }

    fn add(&mut self, i: usize) {
        self.chosen.push(i);
        for (nearest, item) in self.nearest.iter_mut().zip(self.items) {
            *nearest = nearest.min(distance(item, &self.items[i]));
        }
    }

    fn full(&self) -> bool {
        self.chosen.len() >= self.criteria.budget
    }

    /// One frame for every scene, scenes with little choice first, so that the
    /// others can choose around them.
    fn cover_scenes(&mut self, threshold: f32) {
        let scenes = self.items.iter().map(|i| i.scene + 1).max().unwrap_or(0);
        let mut members = vec![vec![]; scenes];
        for i in (0..self.items.len()).filter(|&i| self.eligible(i)) {
            members[self.items[i].scene].push(i);
        }
        members.retain(|m| !m.is_empty());
        if members.len() > self.criteria.budget {
            return self.cover_most_different(members);
        }
        members.sort_by_key(|m| (m.len(), m[0]));
        for scene in &members {
            if let Some(i) = self.representative(scene, threshold) {
                self.add(i);
            }
        }
        self.rearrange(&members, threshold);
    }

    /// Lets every scene choose again around the choices of all others, until
    /// nothing changes: what was chosen early may lie close to a later choice.
    fn rearrange(&mut self, scenes: &[Vec<usize>], threshold: f32) {
        for _ in 0..MOST_ROUNDS {
            let mut changed = false;
            for scene in scenes {
                let Some(position) = self.chosen.iter().position(|i| scene.contains(i)) else { continue };
                let old = self.chosen.swap_remove(position);
                self.measure(scene);
                let new = self.representative(scene, threshold).unwrap_or(old);
                self.chosen.push(new);
                changed |= new != old;
            }
            if !changed {
                break;
            }
        }
        self.measure(&(0..self.items.len()).collect::<Vec<_>>());
    }

    /// A scene's best frame among those that differ clearly from what is chosen,
    /// or else the one that differs most.
    fn representative(&self, scene: &[usize], threshold: f32) -> Option<usize> {
        let distinct: Vec<usize> = scene.iter().copied().filter(|&i| self.nearest[i] > threshold).collect();
        if distinct.is_empty() {
            self.best(scene, |nearest| nearest)
        } else {
            self.best(&distinct, |nearest| nearest.min(threshold * 1.5))
        }
    }

    /// Fewer frames than scenes: the scenes that differ most from each other.
    fn cover_most_different(&mut self, mut members: Vec<Vec<usize>>) {
        while !self.full() && !members.is_empty() {
            let all: Vec<usize> = members.iter().flatten().copied().collect();
            let Some(i) = self.best(&all, |nearest| nearest.min(64.0)) else { return };
            self.add(i);
            members.retain(|m| !m.contains(&i));
        }
    }

    /// Spends what is left of the budget where there is most to see.
    fn spread(&mut self, threshold: f32) {
        while !self.full() {
            let open: Vec<usize> =
                (0..self.items.len()).filter(|&i| self.eligible(i) && self.nearest[i] > threshold).collect();
            let Some(i) = self.best(&open, |nearest| nearest.min(64.0)) else { return };
            self.add(i);
        }
    }

    /// The item with the highest distance (as valued by `value`) times merit;
    /// the earliest of equals.
    fn best(&self, among: &[usize], value: impl Fn(f32) -> f32) -> Option<usize> {
        let score = |i: usize| value(self.nearest[i]) * self.merit[i];
        among.iter().copied().reduce(|best, i| if score(i) > score(best) { i } else { best })
    }

    /// Measures some items' distances to what is chosen anew.
    fn measure(&mut self, items: &[usize]) {
        for &i in items {
            let to_chosen = self.chosen.iter().map(|&c| distance(&self.items[i], &self.items[c]));
            self.nearest[i] = to_chosen.fold(f32::INFINITY, f32::min);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn item(scene: usize, phash: u64) -> Item {
        Item {
            scene,
            sharpness: 100.0,
            phash: PictureHash::from_bits(phash),
            colors: [128; 36],
            face: 0.0,
            spoilt: None,
        }
    }

    /// Hashes that differ from each other in at least 16 bits.
    fn distinct(n: usize) -> u64 {
        const WORDS: [u64; 6] = [
            0,
            0xffff_ffff,
            0xffff_0000_ffff_0000,
            0xff00_ff00_ff00_ff00,
            0xf0f0_f0f0_f0f0_f0f0,
            0xcccc_cccc_cccc_cccc,
        ];
        WORDS[n]
    }

    fn run(items: &[Item], budget: usize, faces: FacesMode) -> Vec<usize> {
        select(items, &Criteria { budget, similarity: 0.75, faces }).0
    }

    #[test]
    fn look_alikes_are_left_out_however_large_the_budget() {
        let items: Vec<Item> = (0..6).flat_map(|s| (0..4).map(move |k| item(0, distinct(s) ^ k))).collect();
        let kept = run(&items, 500, FacesMode::Ignore);
        assert_eq!(kept.len(), 6);
        let (_, rejected) = select(&items, &Criteria { budget: 500, similarity: 0.75, faces: FacesMode::Ignore });
        assert!(rejected.iter().all(|&(_, r)| r == Reason::LookAlike));
    }

    #[test]
    fn every_scene_gets_a_frame_even_if_it_repeats() {
        let items = [item(0, distinct(0)), item(1, distinct(1)), item(2, distinct(0))];
        assert_eq!(run(&items, 10, FacesMode::Ignore), [0, 1, 2]);
    }

    #[test]
    fn a_repeated_scene_shows_another_moment_where_it_has_one() {
        let items = [item(0, distinct(0)), item(1, distinct(0)), item(1, distinct(2))];
        assert_eq!(run(&items, 2, FacesMode::Ignore), [0, 2]);
    }

    #[test]
    fn a_budget_below_the_scenes_takes_the_most_different() {
        let items = [item(0, distinct(0)), item(1, 1), item(2, 3), item(3, !0)];
        let kept = run(&items, 2, FacesMode::Ignore);
        assert!(kept.len() == 2 && kept.contains(&3), "{kept:?}");
    }

    #[test]
    fn spoilt_frames_are_never_chosen_and_say_why() {
        let mut items = vec![item(0, distinct(0)), item(0, distinct(1))];
        items[1].spoilt = Some(Reason::Transition);
        let (kept, rejected) = select(&items, &Criteria { budget: 9, similarity: 0.75, faces: FacesMode::Prefer });
        assert_eq!((kept, rejected), (vec![0], vec![(1, Reason::Transition)]));
    }

    #[test]
    fn faces_are_preferred_or_required() {
        let mut items = vec![item(0, distinct(0)), item(0, distinct(0) ^ 1), item(0, distinct(1))];
        items[1].face = 0.9;
        assert_eq!(run(&items, 1, FacesMode::Prefer), [1]);
        assert_eq!(run(&items, 9, FacesMode::Require), [1]);
        assert_eq!(run(&items, 9, FacesMode::Ignore).len(), 2);
    }

    #[test]
    fn nothing_in_nothing_out() {
        assert!(run(&[], 10, FacesMode::Prefer).is_empty());
        assert!(run(&[item(0, 1)], 0, FacesMode::Prefer).is_empty());
    }
}
