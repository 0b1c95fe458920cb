//! Where a head is turned, from five landmarks.
//!
//! An estimate under weak perspective from the proportions of an average face (see the
//! constants): good enough to tell a profile from a frontal view and to spread a choice over
//! directions, not a measurement.

use super::Landmarks;
use serde::{Deserialize, Serialize};

/// A head's direction in degrees.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Pose {
    /// Turned towards the right of the picture; negative: left.
    pub yaw_deg: f32,
    /// Looking down; negative: up.
    pub pitch_deg: f32,
    /// Tilted clockwise, as seen in the picture.
    pub roll_deg: f32,
}

/// Proportions of a face in distances of its eyes. Nose and mouth below the eyes, from the ArcFace
/// template; how far they stand out, of an average head (nose tip about 38 mm, eyes 63 mm apart).
const NOSE_BELOW: f32 = 0.57;
const NOSE_OUT: f32 = 0.6;
const MOUTH_BELOW: f32 = 1.155;
const MOUTH_OUT: f32 = 0.15;

/// In profile the eyes coincide: they count as at least this far apart, as a share of their distance
/// from the mouth.
const LEAST_EYES: f32 = 0.2;

/// How far the head is turned: the nose's distance from the middle of the eyes, along the line through
/// them, in eye distances; positive towards the right of the picture. 0 is frontal; at 0.5 the nose
/// stands over an eye.
pub fn turn(landmarks: &Landmarks) -> f32 {
    let frame = EyeFrame::of(landmarks);
    let [_, _, nose, mouth_left, mouth_right] = *landmarks;
    let (_, mouth_down) = frame.place(middle(mouth_left, mouth_right));
    frame.place(nose).0 / frame.length.max(LEAST_EYES * mouth_down.abs())
}

fn middle(a: [f32; 2], b: [f32; 2]) -> [f32; 2] {
    [(a[0] + b[0]) / 2.0, (a[1] + b[1]) / 2.0]
}

/// Places along the line of the eyes and at right angles to it, from the middle between them.
struct EyeFrame {
    middle: [f32; 2],
    axis: [f32; 2],
    /// Of the eyes, in pixels.
    length: f32,
}

impl EyeFrame {
    fn of([left, right, ..]: &Landmarks) -> Self {
        let across = [right[0] - left[0], right[1] - left[1]];
        let length = across[0].hypot(across[1]).max(1e-3);
        Self { middle: middle(*left, *right), axis: across.map(|v| v / length), length }
    }

    fn place(&self, p: [f32; 2]) -> (f32, f32) {
        let (x, y, [ax, ay]) = (p[0] - self.middle[0], p[1] - self.middle[1], self.axis);
        (x * ax + y * ay, y * ax - x * ay)
    }
}

impl Pose {
    /// The pose that these landmarks suggest.
    pub fn of(landmarks: &Landmarks) -> Self {
        let [_, _, nose, mouth_left, mouth_right] = *landmarks;
        let frame = EyeFrame::of(landmarks);
        let (nose_down, mouth_down) = (frame.place(nose).1, frame.place(middle(mouth_left, mouth_right)).1);
        let ratio = nose_down / mouth_down.abs().max(1e-3);
        // nose : mouth = (below + out · tan) : (below + out · tan), solved for the tangent.
        let pitch = (MOUTH_BELOW * ratio - NOSE_BELOW) / (NOSE_OUT - MOUTH_OUT * ratio).max(0.1);
        Self {
            yaw_deg: (turn(landmarks) / NOSE_OUT).atan().to_degrees(),
            pitch_deg: pitch.atan().to_degrees(),
            roll_deg: frame.axis[1].atan2(frame.axis[0]).to_degrees(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// An average head, turned: yaw, then pitch, then roll.
    fn turned(yaw_deg: f32, pitch_deg: f32, roll_deg: f32) -> Landmarks {
        let [yaw, pitch, roll] = [yaw_deg, pitch_deg, roll_deg].map(f32::to_radians);
        let mouth = |x| [x, MOUTH_BELOW, MOUTH_OUT];
        [[-0.5, 0.0, 0.0], [0.5, 0.0, 0.0], [0.0, NOSE_BELOW, NOSE_OUT], mouth(-0.4), mouth(0.4)].map(|[x, y, z]| {
            let (y, z) = (y * pitch.cos() + z * pitch.sin(), z * pitch.cos() - y * pitch.sin());
            let x = x * yaw.cos() + z * yaw.sin();
            [300.0 + 50.0 * (x * roll.cos() - y * roll.sin()), 200.0 + 50.0 * (x * roll.sin() + y * roll.cos())]
        })
    }

    #[test]
    fn each_angle_is_recovered() {
        for (yaw, pitch, roll) in
            [(0.0, 0.0, 0.0), (30.0, 0.0, 0.0), (-50.0, 0.0, 10.0), (0.0, 20.0, -30.0), (0.0, -20.0, 0.0)]
        {
            let pose = Pose::of(&turned(yaw, pitch, roll));
            let errors = [pose.yaw_deg - yaw, pose.pitch_deg - pitch, pose.roll_deg - roll];
            assert!(errors.iter().all(|e| e.abs() < 1.0), "{yaw} {pitch} {roll}: {pose:?}");
        }
    }

    #[test]
    fn both_at_once_are_recovered_roughly() {
        let pose = Pose::of(&turned(35.0, 15.0, 0.0));
        assert!((pose.yaw_deg - 35.0).abs() < 10.0 && (pose.pitch_deg - 15.0).abs() < 8.0, "{pose:?}");
    }

    #[test]
    fn a_full_profile_and_nonsense_are_finite() {
        let profile = Pose::of(&turned(88.0, 0.0, 0.0));
        assert!(profile.yaw_deg > 60.0, "{profile:?}");
        let point = Pose::of(&[[7.0; 2]; 5]);
        assert!([point.yaw_deg, point.pitch_deg, point.roll_deg].iter().all(|v| v.is_finite()), "{point:?}");
    }
}
