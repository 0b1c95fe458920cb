//! Threads that find faces in candidates.

use super::Models;
use crate::error::{Error, Result};
use crate::faces::{Face, FaceAnalyzer};
use crate::frame::{Frame, FrameLayout};
use image::RgbImage;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::mpsc::{Receiver, Sender, SyncSender, channel, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;

struct Job {
    index: u64,
    layout: FrameLayout,
    data: Vec<u8>,
}

type Reply = (u64, Result<Vec<Face>>);

/// The threads. Each has networks of its own, made when they are needed first.
pub struct Pool {
    /// `None` when no more is to come.
    jobs: Option<SyncSender<Box<Job>>>,
    replies: Receiver<Reply>,
    under_way: usize,
    threads: Vec<JoinHandle<()>>,
}

impl Pool {
    /// So many threads.
    pub fn new(workers: usize, models: &Models) -> Self {
        let workers = workers.max(1);
        // One waits for each that works; for an engine that takes several at once, as many.
        let (jobs, waiting) = sync_channel(workers.max(models.engine.batch()));
        let (done, replies) = channel();
        let (waiting, models) = (Arc::new(Mutex::new(waiting)), Arc::new(models.clone()));
        let start = |_| {
            let (waiting, done, models) = (Arc::clone(&waiting), done.clone(), Arc::clone(&models));
            let mut worker = Worker { models, analyzer: None };
            std::thread::spawn(move || worker.work(&waiting, &done))
        };
        Self { jobs: Some(jobs), replies, under_way: 0, threads: (0..workers).map(start).collect() }
    }

    /// Hands over a frame; waits while all threads are busy.
    pub fn submit(&mut self, index: u64, layout: FrameLayout, data: Vec<u8>) -> Result<()> {
        let job = Box::new(Job { index, layout, data });
        let sent = self.jobs.as_ref().map(|jobs| jobs.send(job));
        match sent {
            Some(Ok(())) => {
                self.under_way += 1;
                Ok(())
            }
            _ => Err(Error::Usage("the analysis threads have ended".into())),
        }
    }

    /// A result that has come, without waiting: the frame's number, and what came of it.
    pub fn poll(&mut self) -> Option<Reply> {
        let reply = self.replies.try_recv().ok()?;
        self.under_way -= 1;
        Some(reply)
    }

    /// The next result; `None` when nothing is under way.
    pub fn wait(&mut self) -> Option<Reply> {
        if self.under_way == 0 {
            return None;
        }
        let reply = self.replies.recv().ok()?;
        self.under_way -= 1;
        Some(reply)
    }

    /// Drops the results of what is under way.
    pub fn forget(&mut self) {
        while self.wait().is_some() {}
    }
}

impl Drop for Pool {
    fn drop(&mut self) {
        self.jobs = None;
        for thread in self.threads.drain(..) {
            // A thread that panicked has said so in its reply.
            let _ = thread.join();
        }
    }
}

/// One thread.
struct Worker {
    models: Arc<Models>,
    analyzer: Option<FaceAnalyzer>,
}

impl Worker {
    fn work(&mut self, waiting: &Mutex<Receiver<Box<Job>>>, done: &Sender<Reply>) {
        loop {
            let jobs = next(waiting, self.models.engine.batch());
            if jobs.is_empty() {
                return;
            }
            for reply in self.analyze(&jobs) {
                if done.send(reply).is_err() {
                    return;
                }
            }
        }
    }

    /// Faces of frames, at once, or, where that fails, one by one, so that one bad frame is one error.
    fn analyze(&mut self, jobs: &[Job]) -> Vec<Reply> {
        let Some(first) = jobs.first() else { return Vec::new() };
        let faces = self.guarded(first.index, |worker| {
            let pictures: Vec<RgbImage> =
                jobs.iter().map(|job| Frame::new(&job.layout, &job.data)?.to_rgb()).collect::<Result<_>>()?;
            let analyzer = match &mut worker.analyzer {
                Some(analyzer) => analyzer,
                none => none.insert(FaceAnalyzer::new(worker.models.pack.clone(), &worker.models.engine)?),
            };
            analyzer.analyze_batch(&pictures)
        });
        match faces {
            Ok(faces) => jobs.iter().zip(faces).map(|(job, faces)| (job.index, Ok(faces))).collect(),
            Err(error) if jobs.len() == 1 => vec![(first.index, Err(error))],
            Err(_) => jobs.chunks(1).flat_map(|job| self.analyze(job)).collect(),
        }
    }

    /// Makes a crash an error.
    fn guarded<T>(&mut self, index: u64, run: impl FnOnce(&mut Self) -> Result<T>) -> Result<T> {
        catch_unwind(AssertUnwindSafe(|| run(self))).unwrap_or_else(|_| {
            // Half-changed networks are not used again.
            self.analyzer = None;
            Err(Error::Inference(format!("the analysis of frame {index} crashed")))
        })
    }
}

/// The next job, and at most so many in all that are waiting already; none when no more is to come.
fn next(waiting: &Mutex<Receiver<Box<Job>>>, most: usize) -> Vec<Job> {
    let waiting = waiting.lock().unwrap_or_else(PoisonError::into_inner);
    let first = waiting.recv().ok();
    first.into_iter().chain(std::iter::from_fn(|| waiting.try_recv().ok())).take(most).map(|job| *job).collect()
}
