//! Which faces of a video are one person.

use super::embed::cosine;

/// A face to be grouped.
pub struct Appearance<'a> {
    /// Identity vector of unit length.
    pub embedding: &'a [f32],
    /// The picture it is in: nobody is in one picture twice.
    pub frame: u64,
}

/// Distance of two faces in one picture: further than any two vectors can be,
/// so that a group which would hold both is pushed apart.
const SAME_FRAME_DISTANCE: f32 = 4.0;

/// Groups faces by average-linkage agglomeration: two groups are one person
/// while the mean cosine between them is at least `min_cosine`. Returns a group
/// number per face, numbered by size: group 0 has the most faces.
pub fn people(faces: &[Appearance<'_>], min_cosine: f32) -> Vec<usize> {
    let n = faces.len();
    let mut group: Vec<usize> = (0..n).collect();
    if n > 1 {
        let mut distances = Vec::with_capacity(n * (n - 1) / 2);
        for (i, a) in faces.iter().enumerate() {
            distances.extend(faces[i + 1..].iter().map(|b| match a.frame == b.frame {
                true => SAME_FRAME_DISTANCE,
                false => 1.0 - cosine(a.embedding, b.embedding),
            }));
        }
        let tree = kodama::linkage(&mut distances, n, kodama::Method::Average);
        // Every step joins two clusters into cluster n + step.
        let mut members: Vec<Vec<usize>> = (0..n).map(|i| vec![i]).collect();
        for step in tree.steps() {
            let mut joined = std::mem::take(&mut members[step.cluster1]);
            joined.append(&mut std::mem::take(&mut members[step.cluster2]));
            if step.dissimilarity <= 1.0 - min_cosine {
                let name = group[joined[0]];
                joined.iter().for_each(|&i| group[i] = name);
            }
            members.push(joined);
        }
    }
    number_by_size(&group)
}

/// Renames groups so that 0 is the largest; equal sizes by first appearance.
fn number_by_size(group: &[usize]) -> Vec<usize> {
    let mut order: Vec<(usize, usize, usize)> = Vec::new(); // (size, first, name)
    for (i, &name) in group.iter().enumerate() {
        match order.iter_mut().find(|o| o.2 == name) {
            Some(o) => o.0 += 1,
            None => order.push((1, i, name)),
        }
    }
    order.sort_by_key(|&(size, first, _)| (std::cmp::Reverse(size), first));
    group.iter().map(|name| order.iter().position(|o| o.2 == *name).unwrap_or(0)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn unit(angle_deg: f32) -> Vec<f32> {
        let (s, c) = angle_deg.to_radians().sin_cos();
        vec![c, s]
    }

    fn group(vectors: &[Vec<f32>], frames: &[u64]) -> Vec<usize> {
        let faces: Vec<Appearance<'_>> =
            vectors.iter().zip(frames).map(|(embedding, &frame)| Appearance { embedding, frame }).collect();
        people(&faces, 0.8)
    }

    #[test]
    fn faces_close_together_are_one_person() {
        let vectors = [80.0, 0.0, 5.0, 85.0, 10.0, 160.0].map(unit);
        assert_eq!(group(&vectors, &[0, 1, 2, 3, 4, 5]), [1, 0, 0, 1, 0, 2]);
    }

    #[test]
    fn two_faces_of_one_picture_are_two_people() {
        assert_eq!(group(&[unit(0.0), unit(3.0)], &[7, 7]), [0, 1]);
        // The third joins the nearer of the two.
        assert_eq!(group(&[unit(0.0), unit(9.0), unit(10.0)], &[7, 7, 8]), [1, 0, 0]);
    }

    #[test]
    fn none_and_one() {
        assert!(group(&[], &[]).is_empty());
        assert_eq!(group(&[unit(1.0)], &[0]), [0]);
    }
}
