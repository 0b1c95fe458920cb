//! What a job does, told while it does it.

use framesift::job::{Progress, Stage};
use indicatif::{ProgressBar, ProgressStyle};
use std::cell::Cell;
use std::io::{IsTerminal, Write, stderr};
use std::time::{Duration, Instant};

/// How progress is shown.
#[derive(Clone, Copy, clap::ValueEnum)]
pub enum Show {
    /// A bar on a terminal, nothing elsewhere.
    Auto,
    /// A JSON object a line, on standard error.
    Jsonl,
    /// Nothing.
    None,
}

impl Show {
    /// Says what a user should know, on standard error.
    pub fn say(self, text: &str) {
        match self {
            Self::Jsonl => tell_user(&serde_json::json!({ "note": text }).to_string()),
            Self::Auto | Self::None => tell_user(&format!("framesift: {text}")),
        }
    }
}

/// A line on standard error. That nobody reads there any more is no reason to end a job.
pub fn tell_user(line: &str) {
    let _ = writeln!(stderr(), "{line}");
}

/// Time between two lines.
const LINE_EVERY: Duration = Duration::from_millis(250);

/// Shows the progress of one video.
pub struct Shown {
    show: Show,
    name: String,
    bar: Option<ProgressBar>,
    last: Cell<Option<(Stage, Instant)>>,
}

impl Shown {
    /// For a video's name.
    pub fn new(show: Show, name: &str) -> Self {
        let bar = (matches!(show, Show::Auto) && stderr().is_terminal()).then(|| {
            let style =
                ProgressStyle::with_template("{prefix} {msg:7} {bar:30} {pos}/{len} frames {per_sec} {eta} left");
            let bar = ProgressBar::new(0).with_prefix(name.to_string());
            bar.set_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()));
            bar
        });
        Self { show, name: name.to_string(), bar, last: Cell::new(None) }
    }

    /// Says what a user should know, above the bar.
    pub fn say(&self, text: &str) {
        match &self.bar {
            Some(bar) => bar.suspend(|| self.show.say(text)),
            None => self.show.say(text),
        }
    }

    /// Shows how far the job is.
    pub fn update(&self, Progress { stage, done, total }: Progress) {
        let now = Instant::now();
        let before = self.last.get();
        let new_stage = before.is_none_or(|(last, _)| last != stage);
        let stage_name = match stage {
            Stage::Scan => "scan",
            Stage::Again => "again",
            Stage::Faces => "faces",
            Stage::Write => "write",
        };
        if let Some(bar) = &self.bar {
            if new_stage {
                bar.reset();
                bar.set_message(stage_name);
            }
            bar.set_length(total.max(done));
            bar.set_position(done);
        }
        let due = new_stage || done == total || before.is_none_or(|(_, last)| now - last >= LINE_EVERY);
        if matches!(self.show, Show::Jsonl) && due {
            let line = serde_json::json!({ "video": self.name, "stage": stage_name, "done": done, "total": total });
            tell_user(&line.to_string());
        }
        if new_stage || (due && self.bar.is_none()) {
            self.last.set(Some((stage, now)));
        }
    }
}

impl Drop for Shown {
    fn drop(&mut self) {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
    }
}
