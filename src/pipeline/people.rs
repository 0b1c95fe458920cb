//! Who the faces of a video are: as they look, as the user says, and who of them is looked for.

use super::Session;
use crate::faces::embed::cosine;
use crate::faces::{Face, cluster};
use crate::manifest::{Edits, FIRST_SPLIT, KeptFace, KeptFrame, Options, Person};
use std::collections::{BTreeMap, BTreeSet};

/// Some people: those whose faces count, or those with whom no frame is kept.
pub(super) struct Sought<'a> {
    references: &'a [Vec<f32>],
    min_cosine: f32,
    /// Those who are like a reference on the mean of all their faces, since turned away or blurred a single one may
    /// not be, and those whom the user has pointed at.
    people: BTreeSet<usize>,
}

impl Sought<'_> {
    /// Whether a face is of one of them.
    pub(super) fn has(&self, face: &Face, person: usize) -> bool {
        self.people.contains(&person) || self.highest(&face.embedding) >= self.min_cosine
    }

    /// How like their photos a face is; `None` where there are none.
    pub(super) fn likeness(&self, face: &Face) -> Option<f32> {
        (!self.references.is_empty()).then(|| self.highest(&face.embedding))
    }

    fn highest(&self, identity: &[f32]) -> f32 {
        self.references.iter().map(|reference| cosine(reference, identity)).fold(-1.0, f32::max)
    }
}

impl Session {
    /// Says who each face of the candidates is, if faces have come since.
    pub(super) fn group_people(&mut self, min_cosine: f32) {
        if !std::mem::take(&mut self.ungrouped) {
            return;
        }
        let faces: Vec<cluster::Appearance<'_>> = self
            .candidates
            .iter()
            .flat_map(|c| {
                c.faces.iter().flatten().map(|f| cluster::Appearance { embedding: &f.embedding, frame: c.index })
            })
            .collect();
        let grouped = cluster::people(&faces, min_cosine);
        let before = self.candidates.iter().flat_map(|c| {
            let faces = c.faces.iter().flatten().count();
            // A candidate that was not grouped yet has none.
            (0..faces).map(|i| c.grouped.get(i).copied())
        });
        let mut people = keep_numbers(&before.collect::<Vec<_>>(), &grouped).into_iter();
        for c in &mut self.candidates {
            c.grouped = people.by_ref().take(c.faces.as_ref().map_or(0, Vec::len)).collect();
        }
        self.split = None;
    }

    /// Divides people as the user says: see [`Edits::split`].
    pub(super) fn split_people(&mut self, split: &[usize]) {
        if self.split.as_deref() == Some(split) {
            return;
        }
        for c in &mut self.candidates {
            c.people.clone_from(&c.grouped);
        }
        for (number, &person) in split.iter().enumerate() {
            let mut places = Vec::new();
            let mut faces = Vec::new();
            for (at, c) in self.candidates.iter().enumerate() {
                for (i, face) in c.faces.iter().flatten().enumerate().filter(|&(i, _)| c.people[i] == person) {
                    places.push((at, i));
                    faces.push(cluster::Appearance { embedding: &face.embedding, frame: c.index });
                }
            }
            for (&(at, i), leaves) in places.iter().zip(cluster::split(&faces)) {
                if leaves {
                    self.candidates[at].people[i] = FIRST_SPLIT + number;
                }
            }
        }
        self.split = Some(split.to_vec());
    }

    /// Whose faces count, once people are grouped; `None` for everyone's.
    pub(super) fn wanted(&self, options: &Options, min_cosine: f32) -> Option<Sought<'_>> {
        self.sought(&self.references, &options.edits.only_people, options, min_cosine)
    }

    /// With whom no frame is kept.
    pub(super) fn unwanted(&self, options: &Options, min_cosine: f32) -> Option<Sought<'_>> {
        self.sought(&self.avoided, &options.edits.without_people, options, min_cosine)
    }

    /// Those of some photos, and some that the user has pointed at.
    fn sought<'a>(
        &self,
        references: &'a [Vec<f32>],
        people: &[usize],
        options: &Options,
        min_cosine: f32,
    ) -> Option<Sought<'a>> {
        if references.is_empty() && people.is_empty() {
            return None;
        }
        let people = people.iter().map(|&person| options.edits.really(person)).collect();
        let mut sought = Sought { references, min_cosine, people };
        if references.is_empty() {
            return Some(sought);
        }
        let mut sums: BTreeMap<usize, Vec<f32>> = BTreeMap::new();
        for c in &self.candidates {
            for (face, &person) in c.faces.iter().flatten().zip(&c.people) {
                let sum = sums.entry(options.edits.really(person)).or_insert_with(|| vec![0.0; face.embedding.len()]);
                sum.iter_mut().zip(&face.embedding).for_each(|(sum, value)| *sum += value);
            }
        }
        for (person, sum) in sums {
            let length = sum.iter().map(|v| v * v).sum::<f32>().sqrt().max(f32::MIN_POSITIVE);
            let mean: Vec<f32> = sum.into_iter().map(|v| v / length).collect();
            if sought.highest(&mean) >= min_cosine {
                sought.people.insert(person);
            }
        }
        Some(sought)
    }
}

/// Numbers of people for faces that were grouped again, each as it was for most of its faces: names and other
/// decisions hang on them. New people get new numbers.
fn keep_numbers(before: &[Option<usize>], grouped: &[usize]) -> Vec<usize> {
    let mut shared: BTreeMap<(usize, usize), usize> = BTreeMap::new();
    for (old, &new) in before.iter().zip(grouped) {
        if let Some(old) = old {
            *shared.entry((*old, new)).or_default() += 1;
        }
    }
    if shared.is_empty() {
        return grouped.to_vec();
    }
    let mut pairs: Vec<((usize, usize), usize)> = shared.into_iter().collect();
    pairs.sort_by_key(|&((old, new), faces)| (std::cmp::Reverse(faces), old, new));
    let (mut numbers, mut taken) = (BTreeMap::new(), BTreeSet::new());
    for ((old, new), _) in pairs {
        if !numbers.contains_key(&new) && taken.insert(old) {
            numbers.insert(new, old);
        }
    }
    let mut free = before.iter().flatten().max().map_or(0, |most| most + 1)..;
    let mut number = |new: usize| *numbers.entry(new).or_insert_with(|| free.next().unwrap_or(new));
    grouped.iter().map(|&new| number(new)).collect()
}

/// Who is in the frames, and the best face of each.
pub(crate) fn of(frames: &[KeptFrame], edits: &Edits) -> Vec<Person> {
    let mut best: BTreeMap<usize, (usize, &KeptFrame, &KeptFace)> = BTreeMap::new();
    for (frame, face) in frames.iter().flat_map(|frame| frame.faces.iter().map(move |face| (frame, face))) {
        let entry = best.entry(face.person).or_insert((0, frame, face));
        entry.0 += 1;
        if face.quality > entry.2.quality {
            (entry.1, entry.2) = (frame, face);
        }
    }
    let person = |(id, (faces, frame, face)): (usize, (usize, &KeptFrame, &KeptFace))| Person {
        id,
        name: edits.name(id).map(String::from),
        faces,
        best: face.crop.as_ref().unwrap_or(&frame.file).clone(),
    };
    best.into_iter().map(person).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn people_keep_their_numbers_when_faces_come() {
        // Three people, the first two of equal count; then one more face, and the order of sizes turns.
        let before = [Some(0), Some(0), Some(1), Some(1), Some(2), None, None];
        assert_eq!(keep_numbers(&before, &[1, 1, 0, 0, 3, 0, 2]), [0, 0, 1, 1, 2, 1, 3]);
        // One who falls apart keeps the number where most of the faces are.
        assert_eq!(keep_numbers(&[Some(0), Some(0), Some(0)], &[1, 0, 0]), [1, 0, 0]);
        // Two who become one.
        assert_eq!(keep_numbers(&[Some(0), Some(1), Some(1)], &[0, 0, 0]), [1, 1, 1]);
        assert_eq!(keep_numbers(&[None, None], &[1, 0]), [1, 0]);
    }
}
