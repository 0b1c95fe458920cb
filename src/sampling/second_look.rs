//! Which frames deserve to be decoded once more, when the whole video is known.
//!
//! The stream gives up candidates before it knows that a transition was under
//! way, or that a shot will come back. So a scene may be left without a candidate
//! that shows it alone, or with none that differs from another scene's although
//! some frame of it does. Of every frame a hash and the sharpness are kept, and
//! that is enough to name the frames that would do better.

use super::hash::PictureHash;
use super::similarity::SHARP_ENOUGH;
use std::ops::Range;

/// What is known of a frame.
#[derive(Clone, Copy, Debug)]
pub struct Glance {
    /// Perceptual hash.
    pub phash: PictureHash,
    /// Focus measure; compared within a scene only.
    pub sharpness: f32,
    /// Not blank, and not in a transition or a flash.
    pub clean: bool,
    /// Already a candidate.
    pub candidate: bool,
}

/// Rounds in which the scenes choose around each other.
const MOST_ROUNDS: usize = 4;
/// Decoding a frame once more must bring it this many bits further from the rest,
/// if it remains a look-alike all the same.
const WORTH_BITS: f32 = 2.0;

/// Frames that would stand for their scene better than its candidates can.
/// `scenes`: ranges of frames. Frames that differ by at most `look_alike_bits`
/// of the hash count as look-alikes.
pub fn second_look(frames: &[Glance], scenes: &[Range<usize>], look_alike_bits: f32) -> Vec<usize> {
    let mut chosen: Vec<Option<usize>> = scenes.iter().map(|scene| sharpest_candidate(frames, scene)).collect();
    for _ in 0..MOST_ROUNDS {
        let before = chosen.clone();
        for (i, scene) in scenes.iter().enumerate() {
            chosen[i] = None;
            let others: Vec<PictureHash> = chosen.iter().flatten().map(|&frame| frames[frame].phash).collect();
            chosen[i] = best(frames, scene, &others, look_alike_bits);
        }
        if chosen == before {
            break;
        }
    }
    chosen.into_iter().flatten().filter(|&frame| !frames[frame].candidate).collect()
}

fn sharpest_candidate(frames: &[Glance], scene: &Range<usize>) -> Option<usize> {
    let usable = scene.clone().filter(|&i| frames[i].clean && frames[i].candidate);
    usable.max_by(|&a, &b| frames[a].sharpness.total_cmp(&frames[b].sharpness))
}

/// The frame that stands for a scene: a candidate if one is no look-alike of the
/// others, or else the frame furthest from them, if it is further than all candidates.
fn best(frames: &[Glance], scene: &Range<usize>, others: &[PictureHash], look_alike_bits: f32) -> Option<usize> {
    let novelty = |i: usize| {
        let bits = others.iter().map(|hash| hash.distance(frames[i].phash)).fold(f32::INFINITY, f32::min);
        bits.min(look_alike_bits + 1.0)
    };
    let further = |a: &(f32, usize), b: &(f32, usize)| {
        a.0.total_cmp(&b.0).then(frames[a.1].sharpness.total_cmp(&frames[b.1].sharpness))
    };
    let clean = || scene.clone().filter(|&i| frames[i].clean);
    let sharpest = clean().map(|i| frames[i].sharpness).fold(0.0, f32::max);
    let clean = || clean().filter(|&i| frames[i].sharpness >= SHARP_ENOUGH * sharpest);
    let known = clean().filter(|&i| frames[i].candidate).map(|i| (novelty(i), i)).max_by(further);
    if let Some((bits, i)) = known
        && bits > look_alike_bits
    {
        return Some(i);
    }
    let any = clean().map(|i| (novelty(i), i)).max_by(further);
    match (known, any) {
        (Some(known), Some(any)) => {
            let worth = any.0 > look_alike_bits || any.0 >= known.0 + WORTH_BITS;
            Some(if worth { any.1 } else { known.1 })
        }
        (known, any) => known.or(any).map(|(_, i)| i),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn glance(phash: u64, candidate: bool) -> Glance {
        Glance { phash: PictureHash::from_bits(phash), sharpness: 10.0, clean: true, candidate }
    }

    #[test]
    fn a_scene_without_a_clean_candidate_gets_its_sharpest_clean_frame() {
        let mut frames = vec![glance(0, true), glance(!0, true), glance(!0, false), glance(!0, false)];
        frames[1].clean = false;
        frames[3].sharpness = 12.0;
        assert_eq!(second_look(&frames, &[0..1, 1..4], 8.0), [3]);
    }

    #[test]
    fn a_shot_that_comes_back_shows_another_moment() {
        // The second scene's candidate repeats the first scene's; frame 3 does not.
        let frames = [glance(0, true), glance(0, false), glance(1, true), glance(0xffff, false), glance(0xff, false)];
        assert_eq!(second_look(&frames, &[0..2, 2..5], 8.0), [3]);
    }

    #[test]
    fn nothing_is_decoded_again_without_need() {
        let frames = [glance(0, true), glance(0xff_ffff, false), glance(!0, true), glance(7, false)];
        assert!(second_look(&frames, &[0..2, 2..4], 8.0).is_empty());
        // An exact repeat stays what it is.
        let frames = [glance(0, true), glance(0, true), glance(0, false)];
        assert!(second_look(&frames, &[0..1, 1..3], 8.0).is_empty());
        assert!(second_look(&[], &[], 8.0).is_empty());
    }

    #[test]
    fn a_blurred_or_blank_candidate_does_not_do() {
        let mut frames = vec![glance(0, true), glance(0xffff, true), glance(!0, false)];
        frames[1].sharpness = 2.0;
        assert_eq!(second_look(&frames, &[0..1, 1..3], 8.0), [2]);
        (frames[1].sharpness, frames[1].clean) = (10.0, false);
        assert_eq!(second_look(&frames, &[0..1, 1..3], 8.0), [2]);
    }

    #[test]
    fn a_blurred_frame_does_not_stand_for_a_scene() {
        let mut frames = vec![glance(0, true), glance(1, true), glance(0xffff, false)];
        frames[2].sharpness = 2.0;
        assert!(second_look(&frames, &[0..1, 1..3], 8.0).is_empty());
    }
}
