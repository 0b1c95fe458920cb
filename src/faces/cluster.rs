//! Which faces of a video are one person.

use super::embed::cosine;

/// Groups identity vectors (unit length) by average-linkage agglomeration: two
/// groups are one person while the mean cosine between them is at least
/// `min_cosine`. Returns a group number per vector, numbered by size: group 0
/// has the most faces.
pub fn people(embeddings: &[&[f32]], min_cosine: f32) -> Vec<usize> {
    let n = embeddings.len();
    let mut group: Vec<usize> = (0..n).collect();
    if n > 1 {
        let mut distances = Vec::with_capacity(n * (n - 1) / 2);
        for (i, a) in embeddings.iter().enumerate() {
            distances.extend(embeddings[i + 1..].iter().map(|b| 1.0 - cosine(a, b)));
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

    #[test]
    fn faces_close_together_are_one_person() {
        let vectors: Vec<Vec<f32>> = [80.0, 0.0, 5.0, 85.0, 10.0, 160.0].map(unit).to_vec();
        let views: Vec<&[f32]> = vectors.iter().map(Vec::as_slice).collect();
        assert_eq!(people(&views, 0.8), [1, 0, 0, 1, 0, 2]);
    }

    #[test]
    fn none_and_one() {
        assert!(people(&[], 0.5).is_empty());
        assert_eq!(people(&[&[1.0, 0.0]], 0.5), [0]);
    }
}
