/** The page's decoding by itself: every frame of a file, its time and a hash of its planes. */

import { copyFrame, decodedFrames, samplesAt } from '../../npm/workers/decode';
import { UserError } from '../../npm/workers/failure';
import { listedTimes, openVideo } from '../../npm/workers/video';

declare global {
  interface Window {
    probe: typeof probe;
    again: typeof again;
  }
}

async function sha256(bytes: Uint8Array<ArrayBuffer>): Promise<string> {
  const digest = new Uint8Array(await crypto.subtle.digest('SHA-256', bytes));
  return [...digest].map((byte) => byte.toString(16).padStart(2, '0')).join('');
}

async function probe(file: File) {
  try {
    const video = await openVideo(file);
    const times_s = await listedTimes(video.track, () => true);
    const notes: string[] = [];
    const frames: { time_s: number; hash: string; format: string }[] = [];
    let buffer = new Uint8Array(0);
    const reserve = (bytes: number) => (buffer = buffer.length === bytes ? buffer : new Uint8Array(bytes));
    for await (const sample of decodedFrames(video.track, times_s, (text) => notes.push(text))) {
      const { format } = await copyFrame(sample, reserve);
      frames.push({ time_s: sample.timestamp, hash: await sha256(buffer), format });
      sample.close();
    }
    video.input.dispose();
    return { facts: video.facts, expected: times_s.length, frames, notes };
  } catch (error) {
    // What the page words for its user, and what it would have to show as “Something went wrong”.
    if (error instanceof UserError) return { refused: `${error.message} ${error.failure.advice}` };
    return { crashed: error instanceof Error ? (error.stack ?? error.message) : String(error) };
  }
}

/** All frames by their times, taken slowly: how many came, and how many of the decoder's frames were open at once. */
async function again(file: File) {
  let [open, most] = [0, 0];
  const { VideoDecoder, VideoFrame } = window;
  const close = VideoFrame.prototype.close;
  const counted = new WeakSet<VideoFrame>();
  VideoFrame.prototype.close = function (this: VideoFrame) {
    if (counted.delete(this)) open -= 1;
    close.call(this);
  };
  window.VideoDecoder = class extends VideoDecoder {
    constructor(callbacks: VideoDecoderInit) {
      super({
        ...callbacks,
        output: (frame) => {
          counted.add(frame);
          most = Math.max(most, (open += 1));
          callbacks.output(frame);
        },
      });
    }
  };
  const video = await openVideo(file);
  const times_s = await listedTimes(video.track, () => true);
  let came = 0;
  for await (const sample of samplesAt(video.track, times_s)) {
    await new Promise((resolve) => setTimeout(resolve, 10));
    came += sample ? 1 : 0;
    sample?.close();
  }
  video.input.dispose();
  return { came, most };
}

window.probe = probe;
window.again = again;
