//! How files are called: the usual way, or after a template of the user's.

use crate::error::{Error, Result};

/// Longest template, and longest value put into one, in bytes: together they stay below what file systems take.
const MOST_TEMPLATE: usize = 100;
const MOST_VALUE: usize = 50;

/// What a template may ask for.
pub const PLACES: [&str; 5] = ["index", "time", "scene", "person", "video"];

/// What is known of a frame.
pub struct Named<'a> {
    /// Position in the video.
    pub index: u64,
    /// Presentation time in seconds.
    pub time_s: f64,
    /// Scene, from 0.
    pub scene: usize,
    /// Its largest face's person; nobody's where there is none.
    pub person: Option<&'a str>,
    /// The video's file name.
    pub video: &'a str,
}

/// An error where a template asks for what there is not, or could call two frames the same.
pub fn check(template: &str) -> Result<()> {
    let error = |why: String| Err(Error::Usage(format!("names “{template}”: {why}")));
    if template.len() > MOST_TEMPLATE {
        return error(format!("longer than {MOST_TEMPLATE} bytes"));
    }
    let places: Vec<&str> = parts(template).filter_map(|part| part.ok()).collect();
    for (i, place) in places.iter().enumerate() {
        if !PLACES.contains(place) {
            return error(format!("{{{place}}} is not known; there are {{{}}}", PLACES.join("}, {")));
        }
        if places[..i].contains(place) {
            return error(format!("{{{place}}} stands there twice"));
        }
    }
    match places.contains(&"index") || places.contains(&"time") || template.is_empty() {
        true => Ok(()),
        false => error("without {index} or {time} two frames could be called the same".into()),
    }
}

/// The name of a frame's file without its ending. An empty template is the usual one.
pub fn stem(template: &str, frame: &Named<'_>) -> String {
    let template = if template.is_empty() { "{index}_{time}s" } else { template };
    let value = |place: &str| match place {
        "index" => format!("{:06}", frame.index),
        "time" => format!("{:.3}", frame.time_s),
        "scene" => format!("{:03}", frame.scene + 1),
        "person" => frame.person.map_or("nobody".into(), file_name),
        "video" => file_name(frame.video.rsplit_once('.').map_or(frame.video, |(stem, _)| stem)),
        other => format!("{{{other}}}"),
    };
    let literal = |c: char| if c.is_alphanumeric() || " -_.,()+=@#".contains(c) { c } else { '_' };
    let name: String =
        parts(template).map(|part| part.map_or_else(|text| text.chars().map(literal).collect(), value)).collect();
    // Neither hidden nor what Windows takes away.
    let name = name.trim_end_matches([' ', '.']);
    if name.starts_with('.') { format!("_{name}") } else { name.into() }
}

/// `Ok` for a place's name, `Err` for text between.
fn parts(template: &str) -> impl Iterator<Item = std::result::Result<&str, &str>> {
    let mut rest = template;
    std::iter::from_fn(move || {
        let (part, next) = match (rest.find('{'), rest.find('}')) {
            _ if rest.is_empty() => return None,
            (Some(0), Some(close)) => (Ok(&rest[1..close]), close + 1),
            (Some(0), None) | (None, _) => (Err(rest), rest.len()),
            (Some(open), _) => (Err(&rest[..open]), open),
        };
        rest = &rest[next..];
        Some(part)
    })
}

/// A name as a part of a file's or a folder's: nothing that file systems refuse or take for another folder, and not too
/// long.
pub fn file_name(name: &str) -> String {
    let harmless = |c: char| if c.is_alphanumeric() || " -_".contains(c) { c } else { '_' };
    let mut short: String = name.chars().map(harmless).collect();
    short.truncate(short.floor_char_boundary(MOST_VALUE));
    short.trim().into()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn named(template: &str) -> String {
        let frame = Named { index: 42, time_s: 1.68, scene: 4, person: Some("Ada / L"), video: "../My film.mp4" };
        stem(template, &frame)
    }

    #[test]
    fn templates_are_filled_in() {
        assert_eq!(named(""), "000042_1.680s");
        assert_eq!(named("{video} {scene}-{index} ({person})"), "___My film 005-000042 (Ada _ L)");
        assert_eq!(named("../{time}/x"), ".._1.680_x".replacen("..", "_..", 1));
        assert_eq!(named("{index}..."), "000042");
        let nobody = Named { index: 0, time_s: 0.0, scene: 0, person: None, video: "a" };
        assert_eq!(stem("{person}{index}", &nobody), "nobody000000");
    }

    #[test]
    fn templates_that_make_no_sense_are_told() {
        let error = |template: &str| check(template).unwrap_err().to_string();
        assert!(check("").is_ok() && check("{index}").is_ok() && check("{video}_{time}").is_ok());
        assert!(error("{frame}{index}").contains("{frame} is not known; there are {index}, {time}"));
        assert!(error("{scene}").contains("could be called the same"));
        assert!(error("{index}{index}").contains("twice"));
        assert!(error(&"x".repeat(101)).contains("longer than 100"));
        // Braces that are no place are text.
        assert!(check("{index}{").is_ok() && check("}{index}").is_ok());
        assert_eq!(named("{index}{"), "000042_");
        assert_eq!(named("}{index}"), "_000042");
    }

    #[test]
    fn names_stay_short() {
        let long = "Ж".repeat(300);
        let frame = Named { index: 1, time_s: 0.0, scene: 0, person: Some(&long), video: &long };
        assert!(stem("{video}{person}{index}{time}{scene}", &frame).len() < 150);
    }
}
