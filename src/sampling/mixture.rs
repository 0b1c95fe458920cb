//! A frame as a mixture of two pictures, which is what a gradual transition is
//! made of: a *blend* of both (dissolve, fade), one picture *wiped* over the
//! other, or one *pushing* the other out.
//!
//! Each model says how far a frame is from what it can explain, in the unit of
//! [`Thumb::difference`], and how much of the new picture there is.

use super::features::{THUMB_HEIGHT, THUMB_LEN, THUMB_WIDTH, Thumb};
use std::sync::LazyLock;

/// How a frame is explained by two pictures `a` and `b`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Mixture {
    /// Distance from the closest mixture.
    pub residual: f32,
    /// Share of `b` in it, 0–1.
    pub share: f32,
}

/// The straight blend of two pictures that comes closest (least squares over
/// luma and chroma).
pub fn blend(frame: &Thumb, a: &Thumb, b: &Thumb) -> Mixture {
    // In integers, whose sums compilers make vectors of.
    let (mut dot, mut norm) = (0i32, 0i32);
    for ((&x, &a), &b) in frame.data.iter().zip(a.data.iter()).zip(b.data.iter()) {
        let [x, a, b] = [x, a, b].map(i16::from);
        dot += i32::from(b - a) * i32::from(x - a);
        norm += i32::from(b - a) * i32::from(b - a);
    }
    let share = if norm > 0 { (dot as f32 / norm as f32).clamp(0.0, 1.0) } else { 0.0 };
    // Sums side by side, in an order that is the same everywhere, for vectors as well.
    let mut residuals = [0f32; LANES];
    let [frame, a, b] = [frame, a, b].map(|thumb| thumb.data.as_chunks::<LANES>().0);
    for ((x, a), b) in frame.iter().zip(a).zip(b) {
        for (lane, residual) in residuals.iter_mut().enumerate() {
            let [x, a, b] = [x[lane], a[lane], b[lane]].map(f32::from);
            *residual += (x - a - share * (b - a)).abs();
        }
    }
    Mixture { residual: residuals.iter().sum::<f32>() / THUMB_LEN as f32, share }
}

/// Samples that are added side by side; a thumbnail is made of such.
const LANES: usize = 8;

/// Difference of a cell's three channels at which two pictures can be told apart there.
const VISIBLE: u16 = 16;

/// Cells of the grid from one edge of the picture to the other, along the ways
/// that wipes go: across, down, both diagonals, and outwards from the middle.
static SWEEPS: LazyLock<[Vec<usize>; 5]> = LazyLock::new(|| {
    let position = |cell: usize| {
        let (x, y) = (cell % THUMB_WIDTH, cell / THUMB_WIDTH);
        ((x as f32 + 0.5) / THUMB_WIDTH as f32, (y as f32 + 0.5) / THUMB_HEIGHT as f32)
    };
    let sweep = |rank: fn(f32, f32) -> f32| {
        let rank = |cell: &usize| {
            let (x, y) = position(*cell);
            rank(x, y)
        };
        let mut cells: Vec<usize> = (0..THUMB_LEN).collect();
        cells.sort_by(|a, b| rank(a).total_cmp(&rank(b)));
        cells
    };
    [sweep(|x, _| x), sweep(|_, y| y), sweep(|x, y| x + y), sweep(|x, y| x - y), sweep(|x, y| (x - 0.5).hypot(y - 0.5))]
});

/// Each cell taken from `a` or from `b`, whichever is nearer. `None` where the
/// two can hardly be told apart, or where their parts are not divided by an edge
/// that sweeps over the picture: more than `max_astray` of the cells lie on the
/// wrong side of any such edge; or where the distance is above `max_residual`.
pub fn wipe(frame: &Thumb, a: &Thumb, b: &Thumb, max_astray: f32, max_residual: f32) -> Option<Mixture> {
    let (to_a, to_b, between) = (frame.cell_differences(a), frame.cell_differences(b), a.cell_differences(b));
    let residual: u32 = to_a.iter().zip(&to_b).map(|(&a, &b)| u32::from(a.min(b))).sum();
    let residual = residual as f32 / THUMB_LEN as f32;
    if residual > max_residual {
        return None;
    }
    // Per cell: is it new? `None` where the pictures are alike.
    let cells: [Option<bool>; THUMB_LEN] =
        std::array::from_fn(|cell| (between[cell] > VISIBLE).then_some(to_b[cell] < to_a[cell]));
    let told = cells.iter().flatten().count();
    let new = cells.iter().flatten().filter(|&&new| new).count();
    if told < THUMB_LEN / 3 {
        return None;
    }
    let astray = SWEEPS.iter().map(|sweep| {
        // Errors of an edge before the first cell, with all that follows old; each step moves it by one.
        let (mut old_first, mut new_first) = (told - new, new);
        let mut fewest = old_first.min(new_first);
        for is_new in sweep.iter().filter_map(|&cell| cells[cell]) {
            if is_new {
                (old_first, new_first) = (old_first + 1, new_first - 1);
            } else {
                (old_first, new_first) = (old_first - 1, new_first + 1);
            }
            fewest = fewest.min(old_first).min(new_first);
        }
        fewest
    });
    let astray = astray.min().unwrap_or(told) as f32 / told as f32;
    (astray <= max_astray).then(|| Mixture { residual, share: new as f32 / told as f32 })
}

/// The way in which one picture pushes another out of the frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Direction {
    vertical: bool,
    /// Towards the right or the lower edge.
    forward: bool,
}

impl Direction {
    /// All four.
    pub const ALL: [Direction; 4] = [
        Direction { vertical: false, forward: false },
        Direction { vertical: false, forward: true },
        Direction { vertical: true, forward: false },
        Direction { vertical: true, forward: true },
    ];
}

/// Steps in which the way of a push is searched, as a share of the way.
const PUSH_STEP: f32 = 1.0 / 64.0;

/// `a` moved out as far as `b` has moved in. The share is searched from `least`
/// (as far as the frame before had come) to `most`.
pub fn push(frame: &Thumb, a: &Thumb, b: &Thumb, direction: Direction, least: f32, most: f32) -> Mixture {
    let steps = ((most - least).max(0.0) / PUSH_STEP) as usize;
    let mut best = Mixture { residual: f32::INFINITY, share: least };
    for step in 0..=steps {
        let share = (least + step as f32 * PUSH_STEP).min(1.0);
        if let Some(residual) = pushed_residual(frame, a, b, direction, share, best.residual) {
            best = Mixture { residual, share };
        }
    }
    best
}

/// Distance from `a` moved out by a share, and `b` in; `None` as soon as it is not below `limit`.
fn pushed_residual(frame: &Thumb, a: &Thumb, b: &Thumb, direction: Direction, share: f32, limit: f32) -> Option<f32> {
    let length = if direction.vertical { THUMB_HEIGHT } else { THUMB_WIDTH };
    let moved = share * length as f32;
    let (whole, part) = (moved as usize, moved.fract());
    // Position along the way in the strip made of `a` followed by `b`, as seen
    // in the direction of the movement.
    let sample = |channel: usize, along: usize, across: usize| {
        let (picture, along) = if along < length { (a, along) } else { (b, (along - length).min(length - 1)) };
        let along = if direction.forward { length - 1 - along } else { along };
        let cell = if direction.vertical { along * THUMB_WIDTH + across } else { across * THUMB_WIDTH + along };
        (cell, f32::from(picture.data[channel * THUMB_LEN + cell]))
    };
    let mut sum = 0.0;
    for channel in 0..3 {
        for across in 0..THUMB_LEN / length {
            for along in 0..length {
                let (_, near) = sample(channel, along + whole, across);
                let (_, far) = sample(channel, along + whole + 1, across);
                let (cell, _) = sample(channel, along, across);
                sum += (near + part * (far - near) - f32::from(frame.data[channel * THUMB_LEN + cell])).abs();
            }
            if sum >= limit * THUMB_LEN as f32 {
                return None;
            }
        }
    }
    Some(sum / THUMB_LEN as f32)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sampling::features::tests::{features, thumb};

    fn ends() -> (Thumb, Thumb) {
        (features(0, 1.0).thumb, features(150, 0.6).thumb)
    }

    #[test]
    fn a_blend_is_recognised_and_its_share_found() {
        let (a, b) = ends();
        let mixed = thumb(|i| (f32::from(a.data[i]) * 0.7 + f32::from(b.data[i]) * 0.3).round() as u8);
        let found = blend(&mixed, &a, &b);
        assert!(found.residual < 1.0 && (found.share - 0.3).abs() < 0.02, "{found:?}");
        let found = blend(&features(60, 1.0).thumb, &a, &b);
        assert!(found.residual > 5.0, "{found:?}");
    }

    #[test]
    fn a_wipe_needs_an_edge() {
        let (a, b) = ends();
        // The new picture covers the left quarter.
        let wiped = thumb(|i| if i % THUMB_WIDTH < 8 { b.data[i] } else { a.data[i] });
        let found = wipe(&wiped, &a, &b, 0.1, 1.0).unwrap();
        assert!(found.residual < 0.01 && (found.share - 0.25).abs() < 0.1, "{found:?}");
        let scattered = thumb(|i| if (i % THUMB_LEN).is_multiple_of(3) { b.data[i] } else { a.data[i] });
        assert_eq!(wipe(&scattered, &a, &b, 0.1, 1.0), None);
        assert_eq!(wipe(&a, &a, &a, 0.1, 1.0), None);
        assert_eq!(wipe(&features(60, 1.0).thumb, &a, &b, 1.0, 1.0), None);
    }

    #[test]
    fn a_push_is_followed_in_its_direction_only() {
        let (a, b) = ends();
        // Both pictures have moved left by 12 of 32 columns.
        let pushed = thumb(|i| {
            let column = i % THUMB_WIDTH + 12;
            let (picture, column) = if column < THUMB_WIDTH { (&a, column) } else { (&b, column - THUMB_WIDTH) };
            picture.data[i - i % THUMB_WIDTH + column]
        });
        let [left, right, up, down] = Direction::ALL.map(|d| push(&pushed, &a, &b, d, 0.0, 1.0));
        assert!(left.residual < 0.01 && (left.share - 12.0 / 32.0).abs() < 0.01, "{left:?}");
        for other in [right, up, down] {
            assert!(other.residual > 5.0, "{other:?}");
        }
    }
}
