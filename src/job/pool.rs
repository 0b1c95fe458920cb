//! Threads that find faces in candidates and encode chosen frames.

use crate::error::{Error, Result};
use crate::faces::pack::Pack;
use crate::faces::{Face, FaceAnalyzer};
use crate::frame::{Frame, FrameLayout};
use crate::still;
use image::RgbImage;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::mpsc::{Receiver, Sender, SyncSender, channel, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;

/// What is to be done with a frame.
pub enum Task {
    /// Find its faces.
    Analyze,
    /// Make JPEGs of it and of the faces in these boxes (x, y, width, height in pixels).
    Encode(Vec<[f32; 4]>),
}

/// What came of it.
pub enum Done {
    /// The faces in the frame.
    Faces(Vec<Face>),
    /// JPEGs: the frame, then a face for each box.
    Files(Vec<Vec<u8>>),
}

struct Job {
    task: Task,
    index: u64,
    layout: FrameLayout,
    data: Vec<u8>,
}

type Reply = (u64, Result<Done>);

/// The threads. Each has networks of its own, made when they are needed first.
pub struct Pool {
    /// `None` when no more is to come.
    jobs: Option<SyncSender<Job>>,
    replies: Receiver<Reply>,
    under_way: usize,
    threads: Vec<JoinHandle<()>>,
}

impl Pool {
    /// So many threads, with a pack's models.
    pub fn new(workers: usize, pack: &Pack) -> Self {
        let workers = workers.max(1);
        // One waits for each that works.
        let (jobs, waiting) = sync_channel(workers);
        let (done, replies) = channel();
        let (waiting, pack) = (Arc::new(Mutex::new(waiting)), Arc::new(pack.clone()));
        let start = |_| {
            let (waiting, done, pack) = (Arc::clone(&waiting), done.clone(), Arc::clone(&pack));
            std::thread::spawn(move || work(&waiting, &done, &pack))
        };
        Self { jobs: Some(jobs), replies, under_way: 0, threads: (0..workers).map(start).collect() }
    }

    /// Hands over a frame; waits while all threads are busy.
    pub fn submit(&mut self, task: Task, index: u64, layout: FrameLayout, data: Vec<u8>) -> Result<()> {
        let job = Job { task, index, layout, data };
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

fn work(waiting: &Mutex<Receiver<Job>>, done: &Sender<Reply>, pack: &Pack) {
    let mut analyzer = None;
    loop {
        let job = waiting.lock().unwrap_or_else(PoisonError::into_inner).recv();
        let Ok(job) = job else { return };
        let index = job.index;
        let result = catch_unwind(AssertUnwindSafe(|| run(job, &mut analyzer, pack))).unwrap_or_else(|_| {
            // Half-changed networks are not used again.
            analyzer = None;
            Err(Error::Inference(format!("the analysis of frame {index} crashed")))
        });
        if done.send((index, result)).is_err() {
            return;
        }
    }
}

fn run(job: Job, analyzer: &mut Option<FaceAnalyzer>, pack: &Pack) -> Result<Done> {
    let picture = Frame::new(&job.layout, &job.data)?.to_rgb()?;
    match job.task {
        Task::Analyze => {
            let analyzer = match analyzer {
                Some(analyzer) => analyzer,
                None => analyzer.insert(FaceAnalyzer::new(pack.clone())?),
            };
            Ok(Done::Faces(analyzer.analyze(&picture)?))
        }
        Task::Encode(boxes) => Ok(Done::Files(encode(&picture, &boxes)?)),
    }
}

fn encode(picture: &RgbImage, boxes: &[[f32; 4]]) -> Result<Vec<Vec<u8>>> {
    let faces = boxes.iter().map(|&bbox| still::face_jpeg(picture, bbox));
    std::iter::once(still::frame_jpeg(picture)).chain(faces).collect()
}
