//! How different two frames are: their pictures, and the faces in them.
//!
//! The difference of faces is a metric, and so is that of pictures but for the bits of the hash that
//! are in doubt and count half.

use super::hash::PictureHash;
use crate::faces::embed::cosine;
use crate::faces::pose::Pose;

/// What a frame looks like.
#[derive(Clone, Debug)]
pub struct Look<'a> {
    /// Perceptual hash.
    pub phash: PictureHash,
    /// Coarse colours ([`super::features::Thumb::color_layout`]).
    pub colors: [u8; 36],
    /// Its main face, if one counts.
    pub face: Option<FaceLook<'a>>,
}

/// What a face looks like.
#[derive(Clone, Debug)]
pub struct FaceLook<'a> {
    /// Who it is.
    pub person: usize,
    /// Where it looks.
    pub pose: Pose,
    /// Longer side of its box in pixels.
    pub side_px: f32,
    /// Identity vector of unit length: of one person, it moves with expression, light and age.
    pub embedding: &'a [f32],
}

/// What colours can add to a distance of pictures, in bits.
const MOST_COLOR_BITS: f32 = 0.4;
/// Difference of two faces of one person which counts as much as another person: of yaw, …
const YAW_DEG: f32 = 50.0;
/// … of pitch, …
const PITCH_DEG: f32 = 35.0;
/// … of size, in doublings, …
const DOUBLINGS: f32 = 2.0;
/// … and of the identity vector, as Euclidean distance.
const APPEARANCE: f32 = 1.2;

/// Distance of two pictures in bits of the hash; colours, which the hash of the luma cannot see,
/// only decide between pictures of equal structure: hashes differ in steps of half a bit.
pub fn picture_bits(a: &Look<'_>, b: &Look<'_>) -> f32 {
    let colors: u32 = a.colors.iter().zip(&b.colors).map(|(&a, &b)| u32::from(a.abs_diff(b))).sum();
    a.phash.distance(b.phash) + (colors as f32 / (8.0 * a.colors.len() as f32)).min(MOST_COLOR_BITS)
}

/// Distance of two frames' main faces: 0 if neither has one, 1 for two people, ½ between a face
/// and none; in between for one person, by pose, size and appearance.
pub fn face_difference(a: &Look<'_>, b: &Look<'_>) -> f32 {
    match (&a.face, &b.face) {
        (None, None) => 0.0,
        (Some(_), None) | (None, Some(_)) => 0.5,
        (Some(a), Some(b)) if a.person != b.person => 1.0,
        (Some(a), Some(b)) => {
            let appearance = (2.0 - 2.0 * cosine(a.embedding, b.embedding)).max(0.0).sqrt();
            let parts = [
                (a.pose.yaw_deg - b.pose.yaw_deg) / YAW_DEG,
                (a.pose.pitch_deg - b.pose.pitch_deg) / PITCH_DEG,
                (a.side_px / b.side_px).log2() / DOUBLINGS,
                appearance / APPEARANCE,
            ];
            parts.iter().map(|part| part * part).sum::<f32>().sqrt().min(1.0)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ALONG: [f32; 2] = [1.0, 0.0];

    fn look(face: Option<FaceLook<'_>>) -> Look<'_> {
        Look { phash: PictureHash::from_bits(0), colors: [128; 36], face }
    }

    fn face(person: usize, yaw_deg: f32, side_px: f32, embedding: &[f32]) -> Look<'_> {
        look(Some(FaceLook { person, pose: Pose { yaw_deg, ..Pose::default() }, side_px, embedding }))
    }

    #[test]
    fn colours_only_break_ties() {
        let (a, mut b) = (look(None), look(None));
        b.colors = [255; 36];
        assert_eq!(picture_bits(&a, &b), MOST_COLOR_BITS);
        b.phash = PictureHash::from_bits(0b111);
        assert_eq!(picture_bits(&a, &b), 3.0 + MOST_COLOR_BITS);
    }

    #[test]
    fn people_pose_size_and_appearance_tell_faces_apart() {
        let base = face(0, 0.0, 100.0, &ALONG);
        assert_eq!(face_difference(&base, &base), 0.0);
        assert_eq!(face_difference(&base, &face(1, 0.0, 100.0, &ALONG)), 1.0);
        assert_eq!(face_difference(&base, &look(None)), 0.5);
        assert_eq!(face_difference(&look(None), &look(None)), 0.0);
        let turned = face_difference(&base, &face(0, 25.0, 100.0, &ALONG));
        assert!((turned - 0.5).abs() < 1e-6, "{turned}");
        let larger = face_difference(&base, &face(0, 0.0, 200.0, &ALONG));
        assert!((larger - 0.5).abs() < 1e-6, "{larger}");
        let other = face_difference(&base, &face(0, 0.0, 100.0, &[0.8, 0.6]));
        assert!(other > 0.4 && other < 0.6, "{other}");
    }

    #[test]
    fn no_way_round_is_shorter() {
        let looks = [
            look(None),
            face(0, 0.0, 80.0, &ALONG),
            face(0, 40.0, 90.0, &[0.8, 0.6]),
            face(0, -45.0, 300.0, &[0.6, 0.8]),
            face(1, 10.0, 80.0, &[0.0, 1.0]),
        ];
        for a in &looks {
            for b in &looks {
                for c in &looks {
                    assert!(face_difference(a, c) <= face_difference(a, b) + face_difference(b, c) + 1e-6);
                }
            }
        }
    }
}
