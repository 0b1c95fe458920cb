/** The page's decoding by itself: every frame of a file, its time and a hash of its planes. */

import { copyFrame, decodedFrames } from '../../npm/workers/decode';
import { UserError } from '../../npm/workers/failure';
import { listedTimes, openVideo } from '../../npm/workers/video';

declare global {
  interface Window {
    probe: typeof probe;
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

window.probe = probe;
