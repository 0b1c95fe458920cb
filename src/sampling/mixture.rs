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

/// Samples that are added side by side.
const LANES: usize = 8;
const _: () = assert!((3 * THUMB_LEN).is_multiple_of(LANES), "a thumbnail is made of such");

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
    let (to_a, to_b) = (frame.cell_differences(a), frame.cell_differences(b));
    let residual: u32 = to_a.iter().zip(&to_b).map(|(&a, &b)| u32::from(a.min(b))).sum();
    let residual = residual as f32 / THUMB_LEN as f32;
    if residual > max_residual {
        return None;
    }
    let between = a.cell_differences(b);
    let told = between.iter().filter(|&&between| between > VISIBLE).count() as i32;
    if told < THUMB_LEN as i32 / 3 {
        return None;
    }
    // Per cell: 1 where it is new, -1 where it is old, 0 where the pictures are alike.
    let cells: [i32; THUMB_LEN] =
        std::array::from_fn(|cell| match (between[cell] > VISIBLE, to_b[cell] < to_a[cell]) {
            (false, _) => 0,
            (true, true) => 1,
            (true, false) => -1,
        });
    let new = (told + cells.iter().sum::<i32>()) / 2;
    let astray = SWEEPS.iter().map(|sweep| {
        // Cells on the wrong side of an edge before the first cell, with all that follows old; each step moves it by
        // one. With all that follows new, they are the others.
        let mut wrong = new;
        let (mut fewest, mut most) = (wrong, wrong);
        for &cell in sweep {
            wrong -= cells[cell];
            (fewest, most) = (fewest.min(wrong), most.max(wrong));
        }
        fewest.min(told - most)
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
    let ways = Ways::new(frame, a, b, direction);
    let steps = ((most - least).max(0.0) / PUSH_STEP) as usize;
    let mut best = Mixture { residual: f32::INFINITY, share: least };
    for step in 0..=steps {
        let share = (least + step as f32 * PUSH_STEP).min(1.0);
        if let Some(residual) = ways.residual(share, best.residual) {
            best = Mixture { residual, share };
        }
    }
    best
}

/// Pictures cut into stretches along a direction, so that moving one is an offset.
struct Ways {
    /// Samples that lie side by side across the direction.
    across: usize,
    /// Places along the direction.
    length: usize,
    /// Stretches of the frame, one after the other, from where a push begins.
    frame: Vec<u8>,
    /// Stretches of `a`, each followed by that of `b` and once more by its end.
    strips: Vec<u8>,
}

impl Ways {
    fn new(frame: &Thumb, a: &Thumb, b: &Thumb, direction: Direction) -> Self {
        // Along a column all samples of a row move together.
        let (across, length) = if direction.vertical { (THUMB_WIDTH, THUMB_HEIGHT) } else { (1, THUMB_WIDTH) };
        let stretches = |thumb: &Thumb| {
            let mut stretches = thumb.data.to_vec();
            if direction.forward {
                for stretch in stretches.chunks_exact_mut(across * length) {
                    stretch.reverse();
                    stretch.chunks_exact_mut(across).for_each(<[u8]>::reverse);
                }
            }
            stretches
        };
        let (a, b) = (stretches(a), stretches(b));
        let strip = |(a, b): (&[u8], &[u8])| [a, b, &b[b.len() - across..]].concat();
        let strips = a.chunks_exact(across * length).zip(b.chunks_exact(across * length)).flat_map(strip).collect();
        Self { across, length, frame: stretches(frame), strips }
    }

    /// Distance from `a` moved out by a share, and `b` in; `None` as soon as it is not below `limit`.
    fn residual(&self, share: f32, limit: f32) -> Option<f32> {
        /// Parts of a place: shares are multiples of [`PUSH_STEP`], of 32 or 18 places.
        const PARTS: i16 = 32;
        let moved = share * self.length as f32;
        let (whole, part) = (moved as usize, (moved.fract() * f32::from(PARTS)).round() as i16);
        let unit = (usize::from(PARTS as u16) * THUMB_LEN) as f32;
        let mut sum = 0u32;
        let stretch = self.across * self.length;
        for (frame, strip) in self.frame.chunks_exact(stretch).zip(self.strips.chunks_exact(2 * stretch + self.across))
        {
            let near = &strip[whole * self.across..][..stretch];
            let far = &strip[(whole + 1) * self.across..][..stretch];
            let apart = |((&x, &near), &far): ((&u8, &u8), &u8)| {
                let [x, near, far] = [x, near, far].map(i16::from);
                u32::from((PARTS * (near - x) + part * (far - near)).unsigned_abs())
            };
            sum += frame.iter().zip(near).zip(far).map(apart).sum::<u32>();
            if sum as f32 >= limit * unit {
                return None;
            }
        }
        Some(sum as f32 / unit)
    }
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
        // And all others by a part of a cell, against the definition.
        let share = 13.0 / 64.0;
        for direction in Direction::ALL {
            let length = if direction.vertical { THUMB_HEIGHT } else { THUMB_WIDTH };
            let moved = share * length as f32;
            let part = moved.fract();
            let expected: f32 = (0..3 * THUMB_LEN)
                .map(|i| {
                    let (channel, x, y) = (i / THUMB_LEN, i % THUMB_WIDTH, i % THUMB_LEN / THUMB_WIDTH);
                    let (along, across) = if direction.vertical { (y, x) } else { (x, y) };
                    // As seen from where the push begins.
                    let turned = |along: usize| if direction.forward { length - 1 - along } else { along };
                    let sample = |along: usize| {
                        let (picture, along) =
                            if along < length { (&a, along) } else { (&b, (along - length).min(length - 1)) };
                        let cell = match direction.vertical {
                            true => turned(along) * THUMB_WIDTH + across,
                            false => across * THUMB_WIDTH + turned(along),
                        };
                        f32::from(picture.data[channel * THUMB_LEN + cell])
                    };
                    let at = turned(along) + moved as usize;
                    ((1.0 - part) * sample(at) + part * sample(at + 1) - f32::from(pushed.data[i])).abs()
                })
                .sum::<f32>()
                / THUMB_LEN as f32;
            let residual = Ways::new(&pushed, &a, &b, direction).residual(share, f32::INFINITY).unwrap();
            assert!((residual - expected).abs() < 0.001, "{direction:?} {residual} {expected}");
        }
        let [left, right, up, down] = Direction::ALL.map(|d| push(&pushed, &a, &b, d, 0.0, 1.0));
        assert!(left.residual < 0.01 && (left.share - 12.0 / 32.0).abs() < 0.01, "{left:?}");
        for other in [right, up, down] {
            assert!(other.residual > 5.0, "{other:?}");
        }
    }
}
