//! The choice of frames under a budget.
//!
//! **The problem.** From the candidates, choose at most `budget` frames such that
//!
//! 1. every scene has one, as far as the budget goes;
//! 2. two chosen frames are further apart than the *look-alike radius*, across the whole video,
//!    unless 1 forces them together; with faces asked for, every person is shown whom 2 allows;
//! 3. the smallest distance between any two is as large as possible, counted in radii, where a
//!    frame's *merit* scales its distance: how sharp it is for its surroundings, how good its
//!    faces are, how rarely they were chosen, and how few frames its scene has for its length.
//!
//! Distances are those of [`super::difference`]. With faces preferred, frames without one are added
//! only as long as faces keep the share of the result that they have of the video, and some more.
//!
//! **The algorithm.** Scenes and people are covered first; then farthest-first traversal, which
//! without merits is within a factor of two of the best possible, both as max-min dispersion
//! (Ravi, Rosenkrantz and Tayi, "Heuristic and special case algorithms for dispersion problems",
//! 1994) and as k-center (Gonzalez, "Clustering to minimize the maximum intercluster distance",
//! 1985); both want a metric, which the distance is but for the half bits of doubtful hash bits, and
//! distances beyond two radii count as two. Then every chosen frame gives way to a sharper one around it where 2 allows. It stops
//! before the budget when all that is left looks like something chosen: fewer frames, not more
//! duplicates. So the result holds this: the budget is spent, or every good frame lies within the
//! radius of a chosen one, or shows no face where faces would lose their share. (Frames that are not
//! good stand for a scene that has no better.) It depends on the input alone.

use super::difference::{Look, face_difference, picture_bits};
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
pub struct Item<'a> {
    /// Scene the frame belongs to.
    pub scene: usize,
    /// Presentation time in seconds.
    pub time_s: f64,
    /// Its sharpness as a share of the sharpest frame around it ([`AROUND_S`]) in its scene, 0–1.
    pub focus: f32,
    /// May show a trace of another scene: chosen only if its scene has nothing else.
    pub doubtful: bool,
    /// Whether it is a candidate already, and need not be decoded once more.
    pub known: bool,
    /// What it looks like.
    pub look: Look<'a>,
    /// The faces that count.
    pub faces: Vec<Shown>,
    /// Why no face counts, where none does.
    pub faceless: Reason,
    /// Why it must not be chosen, if so.
    pub spoilt: Option<Reason>,
    /// Whether the user has said that it is kept, or that it is not.
    pub by_hand: Option<bool>,
}

impl Item<'_> {
    fn shows(&self, person: usize) -> bool {
        self.faces.iter().any(|face| face.person == person)
    }
}

/// A face that counts.
#[derive(Clone, Copy, Debug)]
pub struct Shown {
    /// Who it is.
    pub person: usize,
    /// How usable it is, 0–1.
    pub quality: f32,
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
    /// It is much less sharp than the frames around it.
    Blurred,
    /// It shows no face of the size asked for, and faces are required, or would lose their share.
    NoFace,
    /// Its best face is too small …
    FaceSmall,
    /// … out of focus or moved …
    FaceBlurred,
    /// … turned to a side …
    FaceProfile,
    /// … too dark …
    FaceDark,
    /// … too bright …
    FaceBright,
    /// … or cut off by the edge of the picture.
    FaceTruncated,
    /// It shows faces, and none of those who are looked for.
    OtherPerson,
    /// It shows someone with whom no frame is wanted.
    UnwantedPerson,
    /// The user has left it out.
    ByHand,
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

/// Bits that a wholly different face adds to the distance of two frames, …
const PREFERRED_FACE_BITS: f32 = 2.0;
/// … and where only frames with faces are chosen.
const REQUIRED_FACE_BITS: f32 = 6.0;
/// Where faces are preferred they get the share `s` that they have of the video, and this times
/// `s · (1 − s)` on top.
const FACES_FAVOUR: f64 = 0.4;
/// Distance in radii beyond which further is not better: merit decides.
const FAR_RADII: f32 = 2.0;
/// The same where a scene's first frame is chosen.
const FAR_ENOUGH_RADII: f32 = 1.5;
/// What a perfect face adds to a frame's merit of 1.
const FACE_MERIT: f32 = 1.0;
/// Power of the focus in the merit.
const FOCUS_POWER: i32 = 4;
/// Less sharp, for its surroundings, than this a frame can only stand for a scene that has no better.
const LEAST_FOCUS: f32 = 0.55;
/// What a frame is worth that would have to be decoded once more, …
const UNKNOWN_MERIT: f32 = 0.9;
/// … and how much better its focus must be.
const WORTH_DECODING: f32 = 0.05;
/// What is left of the merit of a frame that may show a trace of another scene.
const DOUBTFUL_MERIT: f32 = 0.4;
/// Sharpness is held against that of frames at most this far away, and a frame gives way to one of them …
pub(crate) const AROUND_S: f64 = 0.5;
/// … whose focus is better by at least this.
const WORTH_FOCUS: f32 = 0.01;
/// Of the faces' merit it must keep this share.
const KEEPS_FACES: f32 = 0.9;
/// Rounds of rearranging, and of sharpening.
const MOST_ROUNDS: usize = 8;

/// What was chosen: positions of items in order.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Choice {
    /// Chosen.
    pub kept: Vec<usize>,
    /// All others, and why.
    pub rejected: Vec<(usize, Reason)>,
}

/// Chooses items; see the module's text. `scenes_s`: lengths of the scenes in seconds.
pub fn select(items: &[Item<'_>], scenes_s: &[f64], criteria: &Criteria) -> Choice {
    let mut greedy = Greedy::new(items, scenes_s, criteria);
    greedy.keep_by_hand();
    greedy.cover_scenes();
    greedy.cover_people();
    greedy.spread();
    for _ in 0..MOST_ROUNDS {
        if !greedy.sharpen() {
            break;
        }
        greedy.spread();
    }
    let mut chosen = vec![false; items.len()];
    greedy.chosen.iter().for_each(|&i| chosen[i] = true);
    let is_chosen = |&i: &usize| chosen[i];
    let reason = |i: usize| match items[i].spoilt {
        _ if items[i].by_hand == Some(false) => Reason::ByHand,
        Some(reason) => reason,
        None if !greedy.eligible(i) => items[i].faceless,
        None if !greedy.is_new(i) => Reason::LookAlike,
        None if items[i].doubtful => Reason::Transition,
        None if items[i].focus < LEAST_FOCUS => Reason::Blurred,
        None if !greedy.full() => items[i].faceless,
        None => Reason::Budget,
    };
    let (kept, others): (Vec<usize>, Vec<usize>) = (0..items.len()).partition(is_chosen);
    Choice { rejected: others.into_iter().map(|i| (i, reason(i))).collect(), kept }
}

/// The smaller of two numbers. (`f32::min` also minds what is none, and is a call in wasm.)
fn smaller(a: f32, b: f32) -> f32 {
    if b < a { b } else { a }
}

/// The state of one choice.
struct Greedy<'a> {
    items: &'a [Item<'a>],
    criteria: &'a Criteria,
    /// Frames that each scene would get by its length.
    fair_share: Vec<f32>,
    face_bits: f32,
    /// Share of the result that faces get, where they are preferred.
    face_share: f64,
    chosen: Vec<usize>,
    /// Distance to the nearest chosen item, in bits, …
    nearest: Vec<f32>,
    /// … and which one that is.
    nearest_is: Vec<usize>,
    /// Chosen frames of each scene.
    of_scene: Vec<u32>,
    /// Chosen frames of each person.
    of_person: Vec<u32>,
}

/// Share of the result that faces get where they are preferred: a little more than that of the time in
/// which one can be seen, as far as the items tell. Each stands for the time up to its neighbours. Nothing is told where
/// someone is seen with whom no frame is wanted, and in transitions, where faces need not be looked for.
fn face_share(items: &[Item<'_>]) -> f64 {
    let (mut with_face, mut all) = (0.0, 0.0);
    for (i, item) in items.iter().enumerate() {
        if matches!(item.spoilt, Some(Reason::UnwantedPerson | Reason::Transition)) {
            continue;
        }
        let (before, after) = (&items[i.saturating_sub(1)], &items[(i + 1).min(items.len() - 1)]);
        let stands_for_s = after.time_s - before.time_s;
        all += stands_for_s;
        with_face += if item.faces.is_empty() { 0.0 } else { stands_for_s };
    }
    let share = if all > 0.0 { with_face / all } else { 0.0 };
    share + FACES_FAVOUR * share * (1.0 - share)
}

impl<'a> Greedy<'a> {
    fn new(items: &'a [Item<'a>], scenes_s: &[f64], criteria: &'a Criteria) -> Self {
        let total_s = scenes_s.iter().sum::<f64>().max(1e-9);
        let people = items.iter().flat_map(|i| &i.faces).map(|f| f.person + 1).max().unwrap_or(0);
        Self {
            items,
            criteria,
            fair_share: scenes_s.iter().map(|s| (criteria.budget as f64 * s / total_s) as f32).collect(),
            face_bits: match criteria.faces {
                FacesMode::Ignore => 0.0,
                FacesMode::Prefer => PREFERRED_FACE_BITS,
                FacesMode::Require => REQUIRED_FACE_BITS,
            },
            face_share: match criteria.faces {
                FacesMode::Prefer => face_share(items),
                _ => 0.0,
            },
            chosen: Vec::new(),
            nearest: vec![f32::INFINITY; items.len()],
            nearest_is: vec![usize::MAX; items.len()],
            of_scene: vec![0; scenes_s.len()],
            of_person: vec![0; people],
        }
    }

    fn distance(&self, a: usize, b: usize) -> f32 {
        let (a, b) = (&self.items[a].look, &self.items[b].look);
        let bits = picture_bits(a, b);
        if self.face_bits > 0.0 { bits + self.face_bits * face_difference(a, b) } else { bits }
    }

    fn distance_to_chosen(&self, i: usize) -> f32 {
        self.chosen.iter().map(|&c| self.distance(i, c)).fold(f32::INFINITY, smaller)
    }

    /// Distance in bits up to which two items look alike.
    fn radius(&self) -> f32 {
        // Equal frames are look-alikes whatever the similarity asked for.
        similarity_to_bits(self.criteria.similarity).max(1e-3)
    }

    /// Distance to the nearest chosen item, in radii.
    fn radii(&self, i: usize) -> f32 {
        self.nearest[i] / self.radius()
    }

    fn is_new(&self, i: usize) -> bool {
        self.radii(i) > 1.0
    }

    fn eligible(&self, i: usize) -> bool {
        let item = &self.items[i];
        item.by_hand.is_none()
            && item.spoilt.is_none()
            && (self.criteria.faces != FacesMode::Require || !item.faces.is_empty())
    }

    /// Whether it may be chosen for more than covering a scene.
    fn is_good(&self, i: usize) -> bool {
        self.eligible(i) && !self.items[i].doubtful && self.items[i].focus >= LEAST_FOCUS
    }

    fn full(&self) -> bool {
        self.chosen.len() >= self.criteria.budget
    }

    fn count(&mut self, i: usize, add: bool) {
        let change = |n: &mut u32| *n = if add { *n + 1 } else { n.saturating_sub(1) };
        change(&mut self.of_scene[self.items[i].scene]);
        self.items[i].faces.iter().for_each(|face| change(&mut self.of_person[face.person]));
    }

    fn add(&mut self, i: usize) {
        self.chosen.push(i);
        self.count(i, true);
        (0..self.items.len()).for_each(|k| self.approach(k, i));
    }

    /// Notes that `chosen` is among the chosen ones.
    fn approach(&mut self, i: usize, chosen: usize) {
        let distance = self.distance(i, chosen);
        if distance < self.nearest[i] {
            (self.nearest[i], self.nearest_is[i]) = (distance, chosen);
        }
    }

    /// Measures an item's distance to what is chosen anew.
    fn measure(&mut self, i: usize) {
        self.nearest[i] = f32::INFINITY;
        for position in 0..self.chosen.len() {
            self.approach(i, self.chosen[position]);
        }
    }

    /// The faces of an item, each worth less the more often its person was chosen.
    fn face_merit(&self, i: usize) -> f32 {
        if self.criteria.faces == FacesMode::Ignore {
            return 0.0;
        }
        // The fourth root: the lead stays worth having, and others come to their right.
        let worth = |face: &Shown| face.quality / (1.0 + self.of_person[face.person] as f32).sqrt().sqrt();
        FACE_MERIT * self.items[i].faces.iter().map(worth).fold(0.0, f32::max)
    }

    fn merit(&self, i: usize) -> f32 {
        let item = &self.items[i];
        let share = self.of_scene[item.scene] as f32 / (1.0 + self.fair_share[item.scene]);
        let need = 1.0 / (1.0 + share).sqrt();
        let known = if item.known { 1.0 } else { UNKNOWN_MERIT };
        let doubt = if item.doubtful { DOUBTFUL_MERIT } else { 1.0 };
        item.focus.powi(FOCUS_POWER) * known * doubt * need * (1.0 + self.face_merit(i))
    }

    /// The item whose distance in radii, up to a limit, times merit is the highest; of equals the one
    /// furthest away, and the earliest of those.
    fn best(&self, among: impl Iterator<Item = usize>, far_radii: f32) -> Option<usize> {
        let scored = among.map(|i| ((smaller(self.radii(i), far_radii) * self.merit(i), self.radii(i)), i));
        scored.reduce(|best, next| if next.0 > best.0 { next } else { best }).map(|(_, i)| i)
    }

    /// What the user has said is kept, whatever speaks against it and the budget. The rest is
    /// chosen around it.
    fn keep_by_hand(&mut self) {
        (0..self.items.len()).filter(|&i| self.items[i].by_hand == Some(true)).for_each(|i| self.add(i));
    }

    /// One frame for every scene that has none, scenes with little choice first, so that the
    /// others can choose around them.
    fn cover_scenes(&mut self) {
        let mut members = vec![vec![]; self.of_scene.len()];
        let open = |&i: &usize| self.eligible(i) && self.of_scene[self.items[i].scene] == 0;
        for i in (0..self.items.len()).filter(open) {
            members[self.items[i].scene].push(i);
        }
        members.retain(|m| !m.is_empty());
        for scene in members.iter_mut().filter(|scene| scene.iter().any(|&i| self.is_good(i))) {
            scene.retain(|&i| self.is_good(i));
        }
        let first = self.chosen.len();
        if first + members.len() > self.criteria.budget {
            return self.cover_most_different(members);
        }
        members.sort_by_key(|m| (m.len(), m[0]));
        for scene in &members {
            if let Some(i) = self.representative(scene) {
                self.add(i);
            }
        }
        self.rearrange(&members, first);
    }

    /// Lets every scene choose again around the choices of all others, until
    /// nothing changes: what was chosen early may lie close to a later choice. `first`: where the scenes'
    /// choices begin.
    fn rearrange(&mut self, scenes: &[Vec<usize>], first: usize) {
        for _ in 0..MOST_ROUNDS {
            let before = self.chosen.clone();
            for (position, scene) in (first..).zip(scenes) {
                let old = self.chosen[position];
                // As far away as can be, it stands for no one while its place is free.
                self.chosen.remove(position);
                self.count(old, false);
                scene.iter().for_each(|&i| self.measure(i));
                let new = self.representative(scene).unwrap_or(old);
                self.chosen.insert(position, new);
                self.count(new, true);
            }
            if self.chosen == before {
                break;
            }
        }
        (0..self.items.len()).for_each(|i| self.measure(i));
    }

    /// A scene's best frame among those that differ clearly from what is chosen,
    /// or else the one that differs most.
    fn representative(&self, scene: &[usize]) -> Option<usize> {
        let new = scene.iter().copied().filter(|&i| self.is_new(i));
        self.best(new, FAR_ENOUGH_RADII).or_else(|| self.best(scene.iter().copied(), f32::INFINITY))
    }

    /// Fewer frames than scenes: the scenes that differ most from each other.
    fn cover_most_different(&mut self, mut members: Vec<Vec<usize>>) {
        while !self.full() && !members.is_empty() {
            let Some(i) = self.best(members.iter().flatten().copied(), FAR_RADII) else { return };
            self.add(i);
            members.retain(|m| !m.contains(&i));
        }
    }

    /// With faces asked for: a frame for everyone who was not chosen yet, people with good faces first.
    fn cover_people(&mut self) {
        if self.criteria.faces == FacesMode::Ignore {
            return;
        }
        while !self.full() {
            let missing = |face: &&Shown| self.of_person[face.person] == 0;
            let best_of = |i: usize| self.items[i].faces.iter().filter(missing).map(|f| f.quality).fold(0.0, f32::max);
            let open = (0..self.items.len()).filter(|&i| self.is_good(i) && self.is_new(i));
            let rated = open.map(|i| (best_of(i) * self.merit(i), i)).filter(|rated| rated.0 > 0.0);
            let Some((_, i)) = rated.reduce(|best, next| if next.0 > best.0 { next } else { best }) else { return };
            self.add(i);
        }
    }

    /// Spends what is left of the budget where there is most to see.
    fn spread(&mut self) {
        while !self.full() {
            let any = self.has_room_without_face();
            let fits = |&i: &usize| any || !self.items[i].faces.is_empty();
            let new = (0..self.items.len()).filter(|&i| self.is_good(i) && self.is_new(i)).filter(fits);
            let Some(i) = self.best(new, FAR_RADII) else { return };
            self.add(i);
        }
    }

    /// Whether another frame without a face leaves faces their share.
    fn has_room_without_face(&self) -> bool {
        let with_face = self.chosen.iter().filter(|&&i| !self.items[i].faces.is_empty()).count();
        with_face as f64 >= self.face_share * (self.chosen.len() + 1) as f64
    }

    /// Lets every chosen frame give way to a sharper one around it that shows as much, if that one
    /// is no look-alike of another chosen frame, or less so. Says whether any did.
    fn sharpen(&mut self) -> bool {
        let mut changed = false;
        for position in 0..self.chosen.len() {
            if self.items[self.chosen[position]].by_hand.is_some() {
                continue;
            }
            let old = self.chosen.remove(position);
            self.count(old, false);
            let new = self.sharper(old).unwrap_or(old);
            self.chosen.insert(position, new);
            self.count(new, true);
            if new != old {
                changed = true;
                for i in 0..self.items.len() {
                    if self.nearest_is[i] == old { self.measure(i) } else { self.approach(i, new) }
                }
            }
        }
        changed
    }

    fn sharper(&self, old: usize) -> Option<usize> {
        let item = &self.items[old];
        let near = |i: &usize| {
            let other = &self.items[*i];
            other.scene == item.scene && (other.time_s - item.time_s).abs() <= AROUND_S
        };
        // Items are in order of time.
        let before = (0..old).rev().take_while(near);
        let around = before.chain((old + 1..self.items.len()).take_while(near));
        let (faces, apart) = (self.face_merit(old), self.distance_to_chosen(old));
        let better = around.filter(|&i| {
            let other = &self.items[i];
            self.eligible(i)
                && other.doubtful <= item.doubtful
                && other.focus >= item.focus + if other.known { WORTH_FOCUS } else { WORTH_DECODING }
                && self.face_merit(i) >= KEEPS_FACES * faces
                && item.faces.iter().all(|face| self.of_person[face.person] > 0 || other.shows(face.person))
                && !self.chosen.contains(&i)
                && self.distance_to_chosen(i) > self.radius().min(apart)
        });
        better.reduce(|best, i| if self.items[i].focus > self.items[best].focus { i } else { best })
    }
}

#[cfg(test)]
mod tests {
    use super::super::difference::FaceLook;
    use super::super::hash::PictureHash;
    use super::*;
    use crate::faces::pose::Pose;

    const NOBODY: [f32; 2] = [1.0, 0.0];

    fn item<'a>(scene: usize, phash: u64) -> Item<'a> {
        Item {
            scene,
            time_s: 0.0,
            focus: 1.0,
            doubtful: false,
            known: true,
            look: Look { phash: PictureHash::from_bits(phash), colors: [128; 36], face: None },
            faces: vec![],
            faceless: Reason::NoFace,
            spoilt: None,
            by_hand: None,
        }
    }

    fn with_face<'a>(item: Item<'a>, person: usize, yaw_deg: f32, quality: f32) -> Item<'a> {
        let pose = Pose { yaw_deg, ..Pose::default() };
        let face = Some(FaceLook { person, pose, side_px: 100.0, embedding: &NOBODY });
        Item { look: Look { face, ..item.look }, faces: vec![Shown { person, quality }], ..item }
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

    fn choose(items: &[Item<'_>], budget: usize, faces: FacesMode) -> Choice {
        let scenes = items.iter().map(|i| i.scene + 1).max().unwrap_or(0);
        select(items, &vec![1.0; scenes], &Criteria { budget, similarity: 0.75, faces })
    }

    fn run(items: &[Item<'_>], budget: usize, faces: FacesMode) -> Vec<usize> {
        choose(items, budget, faces).kept
    }

    #[test]
    fn look_alikes_are_left_out_however_large_the_budget() {
        let items: Vec<Item<'_>> = (0..6).flat_map(|s| (0..4).map(move |k| item(0, distinct(s) ^ k))).collect();
        let Choice { kept, rejected } = choose(&items, 500, FacesMode::Ignore);
        assert_eq!(kept.len(), 6);
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
    fn what_is_decided_by_hand_holds_and_the_rest_is_chosen_around_it() {
        let mut items =
            vec![item(0, distinct(0)), item(0, distinct(1)), item(0, distinct(1) ^ 1), item(1, distinct(2))];
        items[0].by_hand = Some(false);
        (items[2].by_hand, items[2].spoilt) = (Some(true), Some(Reason::Blurred));
        let choice = choose(&items, 9, FacesMode::Require);
        assert_eq!(choice.kept, [2], "kept although it is blurred and shows no face");
        let choice = choose(&items, 9, FacesMode::Ignore);
        assert_eq!(choice.kept, [2, 3], "its scene needs no other, and its look-alike adds nothing");
        assert_eq!(choice.rejected, [(0, Reason::ByHand), (1, Reason::LookAlike)]);
        // However small the budget.
        items[3].by_hand = Some(true);
        assert_eq!(run(&items, 1, FacesMode::Ignore), [2, 3]);
        // Scenes without a frame of theirs choose around it, however they are ordered.
        let many: Vec<Item<'_>> =
            (0..6).map(|n| Item { by_hand: (n == 4).then_some(true), ..item(n, distinct(n)) }).collect();
        assert_eq!(run(&many, 6, FacesMode::Ignore), [0, 1, 2, 3, 4, 5]);
        assert!(run(&many, 3, FacesMode::Ignore).contains(&4));
    }

    #[test]
    fn who_is_unwanted_does_not_count_among_the_faces() {
        let item = |n: usize| Item { time_s: n as f64, ..item(0, distinct(n)) };
        let unwanted = |n| Item { spoilt: Some(Reason::UnwantedPerson), ..with_face(item(n), 0, 0.0, 0.9) };
        let others = [with_face(item(3), 1, 0.0, 0.9), item(4), item(5)];
        let items = [vec![unwanted(0), unwanted(1), unwanted(2)], others.to_vec()].concat();
        // Two seconds of the five in which nobody is left out.
        assert_eq!(face_share(&items), 0.4 + FACES_FAVOUR * 0.4 * 0.6);
        let Choice { kept, rejected } = choose(&items, 6, FacesMode::Prefer);
        assert!(kept.contains(&3) && kept.iter().all(|&i| i >= 3), "{kept:?}");
        assert!((0..3).all(|i| rejected.contains(&(i, Reason::UnwantedPerson))), "{rejected:?}");
    }

    #[test]
    fn spoilt_frames_are_never_chosen_and_say_why() {
        let mut items = vec![item(0, distinct(0)), item(0, distinct(1))];
        items[1].spoilt = Some(Reason::Transition);
        let choice = choose(&items, 9, FacesMode::Prefer);
        assert_eq!(choice, Choice { kept: vec![0], rejected: vec![(1, Reason::Transition)] });
    }

    #[test]
    fn doubtful_and_blurred_frames_stand_only_for_a_scene_without_better_ones() {
        let mut items = vec![item(0, distinct(0)), item(0, distinct(1)), item(0, distinct(2)), item(1, distinct(3))];
        items[1].doubtful = true;
        items[2].focus = 0.5;
        items[3].doubtful = true;
        let choice = choose(&items, 9, FacesMode::Ignore);
        assert_eq!(choice.kept, [0, 3]);
        assert_eq!(choice.rejected, [(1, Reason::Transition), (2, Reason::Blurred)]);
    }

    #[test]
    fn the_sharpest_around_is_taken_unless_it_repeats_something() {
        let mut items = vec![item(0, distinct(0)), item(0, distinct(0) ^ 1), item(1, distinct(1))];
        (items[0].focus, items[2].time_s) = (0.8, 60.0);
        assert_eq!(run(&items, 9, FacesMode::Ignore), [1, 2]);
        // Sharper still, but a look-alike of the other scene's frame.
        let mut sharper = item(0, distinct(1) ^ 1);
        (sharper.focus, items[1].focus) = (1.0, 0.9);
        items.insert(2, sharper);
        assert_eq!(run(&items, 9, FacesMode::Ignore), [1, 3]);
    }

    #[test]
    fn faces_are_preferred_or_required() {
        let mut items = vec![item(0, distinct(0)), item(0, distinct(0) ^ 1), item(0, distinct(1))];
        items[1] = with_face(items[1].clone(), 0, 0.0, 0.9);
        items[2].faceless = Reason::FaceBlurred;
        assert_eq!(run(&items, 1, FacesMode::Prefer), [1]);
        assert_eq!(run(&items, 9, FacesMode::Ignore).len(), 2);
        let required = choose(&items, 9, FacesMode::Require);
        assert_eq!(required.kept, [1]);
        assert_eq!(required.rejected, [(0, Reason::NoFace), (2, Reason::FaceBlurred)]);
    }

    #[test]
    fn someone_seen_rarely_is_not_drowned_by_the_lead() {
        // Five good pictures of the lead, one poorer one of somebody else, all equally different.
        let mut items: Vec<Item<'_>> = (0..5).map(|i| with_face(item(0, distinct(i)), 0, 0.0, 0.9)).collect();
        items.push(with_face(item(0, distinct(5)), 1, 0.0, 0.5));
        assert!(run(&items, 2, FacesMode::Prefer).contains(&5));
    }

    #[test]
    fn a_face_that_turns_is_something_new_although_the_picture_is_not() {
        let faces = [(0.0, 0), (2.0, 1), (45.0, 0b111)].map(|(yaw, bits)| with_face(item(0, bits), 0, yaw, 0.9));
        assert_eq!(run(&faces, 9, FacesMode::Require).len(), 2);
        assert_eq!(run(&faces, 9, FacesMode::Ignore).len(), 1);
    }

    #[test]
    fn a_small_budget_goes_to_the_most_different_not_to_the_first() {
        // All further apart than counts, the last one most of all.
        let items = [item(0, 0), item(1, 0xffff), item(2, 0xffff_0000), item(3, !0)];
        assert_eq!(run(&items, 2, FacesMode::Ignore), [0, 3]);
        let one_scene: Vec<Item<'_>> = items.into_iter().map(|i| Item { scene: 0, ..i }).collect();
        assert_eq!(run(&one_scene, 2, FacesMode::Ignore), [0, 3]);
    }

    #[test]
    fn nobody_is_lost_to_a_sharper_picture_of_somebody_else() {
        let mut both = with_face(item(0, 0), 0, 0.0, 0.9);
        both.focus = 0.9;
        let mut alone = with_face(item(0, 1), 0, 0.0, 0.812);
        alone.focus = 0.9101;
        assert_eq!(run(&[both.clone(), alone.clone()], 9, FacesMode::Prefer), [1], "the sharper one");
        both.faces.push(Shown { person: 1, quality: 0.2 });
        assert_eq!(run(&[both, alone], 9, FacesMode::Prefer), [0]);
    }

    #[test]
    fn what_is_left_out_is_near_or_the_budget_is_spent() {
        // A fixed pseudo-random walk through hashes: look-alikes nearby, and repeats.
        let mut state = 1u64;
        let mut hash = 0u64;
        let items: Vec<Item<'_>> = (0..300)
            .map(|i| {
                state = state.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
                hash ^= 1 << (state >> 58) ^ 1 << (state >> 50 & 63);
                let focus = 0.5 + (state >> 40 & 0xff) as f32 / 512.0;
                let item = Item { time_s: i as f64 / 5.0, focus, doubtful: i % 17 == 3, ..item(i / 60, hash) };
                if i % 5 == 0 { with_face(item, i / 50, (i % 40) as f32, 0.7) } else { item }
            })
            .collect();
        let modes = [FacesMode::Ignore, FacesMode::Prefer, FacesMode::Require];
        for (budget, mode) in [3, 5, 40, 500].into_iter().flat_map(|budget| modes.map(|mode| (budget, mode))) {
            let Choice { kept, rejected } = choose(&items, budget, mode);
            assert!(!kept.is_empty() && kept.len() <= budget);
            let spent = kept.len() == budget;
            for (i, reason) in rejected {
                let face_bits = [0.0, PREFERRED_FACE_BITS, REQUIRED_FACE_BITS][mode as usize];
                let bits = |k: usize| {
                    let (a, b) = (&items[i].look, &items[k].look);
                    picture_bits(a, b) + face_bits * face_difference(a, b)
                };
                let near = kept.iter().map(|&k| bits(k)).fold(f32::MAX, f32::min);
                let told = match reason {
                    Reason::LookAlike => near <= 8.0,
                    Reason::NoFace => mode != FacesMode::Ignore && items[i].faces.is_empty(),
                    Reason::Transition => items[i].doubtful,
                    Reason::Blurred => items[i].focus < LEAST_FOCUS,
                    _ => spent,
                };
                assert!(told, "budget {budget}, {mode:?}: {i} {near} {reason:?}");
            }
            assert_eq!(choose(&items, budget, mode).kept, kept);
        }
    }

    #[test]
    fn nothing_in_nothing_out() {
        assert!(run(&[], 10, FacesMode::Prefer).is_empty());
        assert!(run(&[item(0, 1)], 0, FacesMode::Prefer).is_empty());
    }
}
