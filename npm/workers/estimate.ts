/** How long a scan will take: on a few places of the video it is tried what a scan does with all of it. */

import type { VideoSample } from 'mediabunny';
import { type Reserve, copyFrame, framesFrom } from './decode';
import { pixelsOf } from './export';
import type { Pool } from './pool';
import type { OpenVideo } from './video';
import type { Wasm } from './wasm';

/** So many places, on each so long a piece, and no longer than this beside its faces. */
const PLACES = 6;
const PIECE_S = 0.8;
const MOST_MS = 400;
/** Places that are multiples of it, less the whole part, fall together with no rhythm of the video. */
const GOLDEN = 0.618;
/** What a few places let expect is off by so much: it depends on how lively the rest is, and on the machine's cores. */
const UNSURE = 2;

type Scan = InstanceType<Wasm['Scan']>;

export interface Tools {
  newScan: () => Scan;
  roomIn: (scan: Scan) => Reserve;
  pool: Pool;
  /** Whether something else is wanted by now. */
  others: () => boolean;
}

/** What was tried so far. */
interface Tried {
  frames: number;
  covered_s: number;
  decoding_ms: number;
  candidates: number;
  faces_ms: number[];
}

/** Nothing where something else was wanted, or nothing could be decoded. */
export async function estimate(video: OpenVideo, workers: number, tools: Tools): Promise<{ least_s: number; most_s: number } | undefined> {
  const { start_s, duration_s, frames_per_s } = video.facts;
  const tried: Tried = { frames: 0, covered_s: 0, decoding_ms: 0, candidates: 0, faces_ms: [] };
  for (let place = 0; place < PLACES; place++) {
    await tryAt(video, start_s + ((place * GOLDEN) % 1) * duration_s, tools, tried);
    if (tools.others()) return undefined;
  }
  if (tried.covered_s <= 0) return undefined;
  // The networks are made with the first frame.
  const faces_ms = tried.faces_ms.slice(1);
  const face_ms = faces_ms.reduce((sum, ms) => sum + ms, 0) / Math.max(1, faces_ms.length);
  const decode_s = (duration_s * frames_per_s * tried.decoding_ms) / tried.frames / 1000;
  const candidates = (tried.candidates * duration_s) / tried.covered_s;
  const faces_s = (candidates * face_ms) / 1000 / tools.pool.size(workers);
  // With cores enough both are done side by side, otherwise one after the other.
  return { least_s: Math.max(decode_s, faces_s) / UNSURE, most_s: (decode_s + faces_s) * UNSURE };
}

async function tryAt({ track }: OpenVideo, time_s: number, { newScan, roomIn, pool, others }: Tools, tried: Tried): Promise<void> {
  const scan = newScan();
  try {
    const reserve = roomIn(scan);
    const began_ms = performance.now();
    let [faces_ms, first_s] = [0, -Infinity];
    const passed_ms = () => performance.now() - began_ms - faces_ms;
    for await (const sample of framesFrom(track, time_s)) {
      const { timestamp, duration } = sample;
      try {
        if (others()) return;
        if (first_s === -Infinity) {
          first_s = timestamp;
          faces_ms = await timeOfFaces(sample.clone(), pool);
          tried.faces_ms.push(faces_ms);
        }
        scan.commit(timestamp, duration, await copyFrame(sample, reserve));
      } finally {
        sample.close();
      }
      tried.frames += 1;
      tried.covered_s += duration;
      if (timestamp - first_s >= PIECE_S || passed_ms() > MOST_MS) break;
    }
    tried.decoding_ms += passed_ms();
    // The last one ends where the trying does, not where the picture changes.
    tried.candidates += Math.max(0, scan.finish() - 0.5);
  } finally {
    scan.free();
  }
}

async function timeOfFaces(sample: VideoSample, pool: Pool): Promise<number> {
  const pixels = await pixelsOf(sample, pool);
  const start_ms = performance.now();
  const { result } = await pool.analyze(pixels, 1);
  await result;
  return performance.now() - start_ms;
}
