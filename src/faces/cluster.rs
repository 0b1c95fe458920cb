//! Which faces of a video are one person.
//!
//! Faces that follow each other are joined to *tracks* first: a face and the most similar one in
//! the picture with faces before, if they are as similar as one person's. Then tracks are grouped by
//! average linkage. That is cheaper than grouping single faces, and steadier: a track's mean
//! is closer to the person than any of its faces.

use super::embed::cosine;
use std::collections::BTreeMap;

/// A face to be grouped.
pub struct Appearance<'a> {
    /// Identity vector of unit length.
    pub embedding: &'a [f32],
    /// The picture it is in: nobody is in one picture twice.
    pub frame: u64,
}

/// Distance of two tracks that share a picture: further than any two vectors can be,
/// so that a group which would hold both is pushed apart.
const SAME_FRAME_DISTANCE: f32 = 4.0;

/// Tracks grouped with each other, the longest: their distances need four times the square of this in bytes.
const MOST_TRACKS: usize = 2000;

/// Faces that are at least so alike are one person's, whatever else there is.
const SURELY_SAME_COSINE: f32 = 0.7;

/// Faces in successive pictures that are one person's.
struct Track {
    /// Positions in order.
    faces: Vec<usize>,
    /// Their mean, of unit length.
    embedding: Vec<f32>,
}

/// Groups faces that are in order of their pictures: two groups are one person while the mean
/// cosine between their tracks is at least `min_cosine`. Returns a group number per face, numbered
/// by size: group 0 has the most faces.
pub fn people(faces: &[Appearance<'_>], min_cosine: f32) -> Vec<usize> {
    let mut tracks = tracks(faces, min_cosine);
    tracks.sort_by_key(|track| (std::cmp::Reverse(track.faces.len()), track.faces[0]));
    let n = tracks.len().min(MOST_TRACKS);
    let mut person: Vec<usize> = (0..tracks.len()).collect();
    join(faces, &tracks[..n], |first, second, distance| {
        if distance <= 1.0 - min_cosine {
            let name = person[first[0]];
            first.iter().chain(second).for_each(|&i| person[i] = name);
        }
    });
    // Where there are too many tracks, the short ones join the nearest of the others.
    for (i, track) in tracks.iter().enumerate().skip(n) {
        let others = tracks[..n].iter().enumerate().filter(|(_, t)| !share_a_frame(faces, t, track));
        let rated = others.map(|(k, t)| (cosine(&t.embedding, &track.embedding), k));
        let nearest = rated.filter(|r| r.0 >= min_cosine).max_by(|a, b| a.0.total_cmp(&b.0));
        person[i] = nearest.map_or(i, |(_, k)| person[k]);
    }
    let mut group = vec![0; faces.len()];
    for (track, &name) in tracks.iter().zip(&person) {
        track.faces.iter().for_each(|&face| group[face] = name);
    }
    number_by_size(&group)
}

/// Divides faces that were taken for one person's, in order of their pictures, into the two groups that are least
/// alike: for each face whether it is in the smaller one. Nobody is where there is only one face.
pub fn split(faces: &[Appearance<'_>]) -> Vec<bool> {
    let mut tracks = tracks(faces, SURELY_SAME_COSINE);
    if tracks.len() == 1 {
        // All follow each other: each for itself, then.
        tracks = self::tracks(faces, f32::INFINITY);
    }
    tracks.sort_by_key(|track| (std::cmp::Reverse(track.faces.len()), track.faces[0]));
    let n = tracks.len().min(MOST_TRACKS);
    let mut smaller = vec![false; faces.len()];
    let (mut first, mut second) = (Vec::new(), Vec::new());
    join(faces, &tracks[..n], |a, b, _| {
        // The last that are joined are all of them.
        if a.len() + b.len() == n {
            (first, second) = (a.to_vec(), b.to_vec());
        }
    });
    if second.is_empty() {
        return smaller;
    }
    let size = |group: &[usize]| group.iter().map(|&i| tracks[i].faces.len()).sum::<usize>();
    // Of two of a size the one that comes later.
    let begin = |group: &[usize]| group.iter().map(|&i| tracks[i].faces[0]).min();
    let second_stays =
        (size(&second), std::cmp::Reverse(begin(&second))) > (size(&first), std::cmp::Reverse(begin(&first)));
    let (stay, go) = if second_stays { (second, first) } else { (first, second) };
    let nearest = |group: &[usize], track: &Track| {
        group.iter().map(|&i| cosine(&tracks[i].embedding, &track.embedding)).fold(-1.0, f32::max)
    };
    let short = (n..tracks.len()).filter(|&i| nearest(&go, &tracks[i]) > nearest(&stay, &tracks[i]));
    for i in short.chain(go.iter().copied()) {
        tracks[i].faces.iter().for_each(|&face| smaller[face] = true);
    }
    smaller
}

/// Tells `each` what average linkage joins, in order: the tracks of both sides, and their distance.
fn join(faces: &[Appearance<'_>], tracks: &[Track], mut each: impl FnMut(&[usize], &[usize], f32)) {
    let n = tracks.len();
    if n < 2 {
        return;
    }
    let mut distances = Vec::with_capacity(n * (n - 1) / 2);
    for (i, a) in tracks.iter().enumerate() {
        distances.extend(tracks[i + 1..].iter().map(|b| match share_a_frame(faces, a, b) {
            true => SAME_FRAME_DISTANCE,
            false => 1.0 - cosine(&a.embedding, &b.embedding),
        }));
    }
    let tree = kodama::linkage(&mut distances, n, kodama::Method::Average);
    // Every step joins two clusters into cluster n + step.
    let mut members: Vec<Vec<usize>> = (0..n).map(|i| vec![i]).collect();
    for step in tree.steps() {
        let mut joined = std::mem::take(&mut members[step.cluster1]);
        let mut second = std::mem::take(&mut members[step.cluster2]);
        each(&joined, &second, step.dissimilarity);
        joined.append(&mut second);
        members.push(joined);
    }
}

fn tracks(faces: &[Appearance<'_>], min_cosine: f32) -> Vec<Track> {
    let mut tracks: Vec<Track> = Vec::new();
    // Tracks of the picture before, and of this one.
    let (mut before, mut here): (Vec<usize>, Vec<usize>) = (Vec::new(), Vec::new());
    for (i, face) in faces.iter().enumerate() {
        if i > 0 && face.frame != faces[i - 1].frame {
            before = std::mem::take(&mut here);
        }
        let rated = before.iter().map(|&t| (cosine(&tracks[t].embedding, face.embedding), t));
        let nearest = rated.filter(|r| r.0 >= min_cosine).max_by(|a, b| a.0.total_cmp(&b.0));
        let track = match nearest {
            Some((_, t)) => {
                before.retain(|&other| other != t);
                tracks[t].add(i, face.embedding);
                t
            }
            None => {
                tracks.push(Track { faces: vec![i], embedding: face.embedding.to_vec() });
                tracks.len() - 1
            }
        };
        here.push(track);
    }
    tracks
}

impl Track {
    fn add(&mut self, face: usize, embedding: &[f32]) {
        let n = self.faces.len() as f32;
        self.faces.push(face);
        self.embedding.iter_mut().zip(embedding).for_each(|(mean, v)| *mean = *mean * n + v);
        let norm = self.embedding.iter().map(|v| v * v).sum::<f32>().sqrt().max(1e-12);
        self.embedding.iter_mut().for_each(|v| *v /= norm);
    }
}

fn share_a_frame(faces: &[Appearance<'_>], a: &Track, b: &Track) -> bool {
    let frames = |t: &Track| (faces[t.faces[0]].frame, t.faces.last().map_or(0, |&last| faces[last].frame));
    let ((a_first, a_last), (b_first, b_last)) = (frames(a), frames(b));
    a_first <= b_last
        && b_first <= a_last
        && a.faces.iter().any(|&i| b.faces.binary_search_by_key(&faces[i].frame, |&k| faces[k].frame).is_ok())
}

/// Renames groups so that 0 is the largest; equal sizes by first appearance.
fn number_by_size(group: &[usize]) -> Vec<usize> {
    let mut groups: BTreeMap<usize, (usize, usize)> = BTreeMap::new(); // name → (size, first)
    for (i, &name) in group.iter().enumerate() {
        groups.entry(name).or_insert((0, i)).0 += 1;
    }
    let mut order: Vec<(usize, (usize, usize))> = groups.into_iter().collect();
    order.sort_by_key(|&(_, (size, first))| (std::cmp::Reverse(size), first));
    let number: BTreeMap<usize, usize> = order.into_iter().enumerate().map(|(n, (name, _))| (name, n)).collect();
    group.iter().map(|name| number[name]).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_person_is_divided_into_the_two_that_are_least_alike() {
        let angles = [0.0, 3.0, 50.0, 1.0, 52.0, 2.0];
        let vectors: Vec<Vec<f32>> = angles.map(unit).into();
        let faces: Vec<Appearance<'_>> =
            vectors.iter().enumerate().map(|(i, v)| Appearance { embedding: v, frame: i as u64 }).collect();
        assert!(people(&faces, 0.5).iter().all(|&person| person == 0), "they were one");
        assert_eq!(split(&faces), [false, false, true, false, true, false]);
        // Alike and in a row: still two.
        let close: Vec<Vec<f32>> = [0.0, 1.0, 8.0].map(unit).into();
        let faces: Vec<Appearance<'_>> =
            close.iter().enumerate().map(|(i, v)| Appearance { embedding: v, frame: i as u64 }).collect();
        assert_eq!(split(&faces), [false, false, true]);
        assert_eq!(split(&faces[..1]), [false]);
        assert!(split(&[]).is_empty());
    }

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
    fn a_face_that_turns_slowly_stays_one_person() {
        // First and last are 60° apart, further than one person's faces may be on their own.
        let vectors: Vec<Vec<f32>> = (0..13).map(|i| unit(5.0 * i as f32)).collect();
        let frames: Vec<u64> = (0..13).collect();
        assert_eq!(group(&vectors, &frames), [0; 13]);
        assert_eq!(group(&[unit(0.0), unit(60.0)], &[0, 1]), [0, 1]);
    }

    #[test]
    fn none_and_one() {
        assert!(group(&[], &[]).is_empty());
        assert_eq!(group(&[unit(1.0)], &[0]), [0]);
    }
}
