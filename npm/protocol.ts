/** What the page, the job worker and the analysis workers say to each other. */

import type { Box, Manifest, Options, Stills } from './manifest';

/** What every worker needs; see `load`. */
export interface Assets {
  /** Addresses of what was fetched. */
  files: string[];
  /** The wasm variant that this browser can run. */
  variant: Variant;
  module: WebAssembly.Module;
  /** The encoder of WebP files. */
  webp: WebAssembly.Module;
  packToml: string;
  detector: Uint8Array;
  embedder: Uint8Array;
}

export type Variant = 'relaxed-simd' | 'simd128';

/** Facts of a file, as far as they are known before decoding. */
export interface VideoFacts {
  name: string;
  size_bytes: number;
  container: string;
  codec: string;
  /** When the first frame is shown: recordings may begin at any time. */
  start_s: number;
  duration_s: number;
  /** What the container says of the length, if it does. */
  stated_s?: number;
  width: number;
  height: number;
  rotation_deg: number;
  /** Estimated from the first packets; only for display. */
  frames_per_s: number;
}

/** A scan of an earlier visit that could be gone on with. */
export interface KeptScan {
  id: string;
  /** The video's file name. */
  name: string;
}

/** How far a kept scan of the open file is. */
export interface Kept {
  /** What it depends on. */
  options: Pick<Options, 'budget' | 'similarity' | 'detector'>;
  frames: number;
  /** Time of its last frame. */
  done_s: number;
  /** Whether all frames were looked at. */
  ended: boolean;
}

/** Something the user can act on, in words. */
export interface Failure {
  title: string;
  advice: string;
}

export interface Progress {
  stage: 'count' | 'scan' | 'again' | 'faces' | 'export';
  done: number;
  /** 0 while unknown. */
  total: number;
  candidates: number;
  analysed: number;
}

/** A frame that could be kept, as small pictures. */
export interface Candidate {
  index: number;
  time_s: number;
  /** A JPEG, at most 320 pixels on its longer side. */
  thumbnail: Blob;
  faces: Portrait[];
}

/** A face, upright. */
export interface Portrait {
  bbox: Box;
  /** A JPEG of 112 × 112 pixels. */
  picture: Blob;
}

/** A frame at full quality. */
export interface FullFrame {
  index: number;
  time_s?: number;
  /** A JPEG; missing where the frame could not be decoded again. */
  picture?: Blob;
}

export type ToJob =
  | { type: 'init'; assets: Assets; pool: MessagePort[] }
  /** `keep`: what is kept of the scan of the one before stays, to come back to. */
  | { type: 'open'; file: File; request: number; keep: boolean }
  /** Asks how fast the open file could be scanned. */
  | { type: 'estimate'; options: Options }
  /** `resume`: goes on with the kept scan; `keep`: records this one. */
  | { type: 'scan'; options: Options; resume: boolean; keep: boolean }
  /** Reads a `manifest.json`. */
  | { type: 'import'; file: File }
  /** Forgets a kept scan of an earlier visit, or without `id` that of the open file. */
  | { type: 'forget'; id?: string }
  /** Asks for small pictures of candidates that came without. */
  | { type: 'pictures'; indices: number[] }
  | { type: 'select'; options: Options }
  /** Makes a frame a candidate that is none, and chooses. */
  | { type: 'include'; index: number; options: Options }
  /** Looks for who is on photos, or leaves out who is, and chooses; without photos for everyone, or nobody. */
  | { type: 'people'; who: 'reference' | 'avoid'; photos: Blob[]; options: Options }
  /** Asks for a frame at full quality. */
  | { type: 'frame'; index: number }
  /** Into a folder, or without one as a ZIP. */
  | { type: 'export'; options: Options; folder?: FileSystemDirectoryHandle }
  | { type: 'pause'; paused: boolean }
  /** A new analysis worker in the place of one that was lost. */
  | { type: 'replaced'; worker: number; port: MessagePort }
  | { type: 'cancel' }
  /** Ends the worker, and removes what it has stored but for the user. */
  | { type: 'close' };

export type FromJob =
  | { type: 'ready'; device: string; kept: KeptScan[] }
  | { type: 'opened'; facts: VideoFacts; request: number; kept?: Kept }
  /** How long a scan of the whole file takes, as some places of it let expect; nothing where something else was asked for meanwhile. */
  | { type: 'estimated'; least_s?: number; most_s?: number }
  | { type: 'imported'; manifest?: Manifest; failure?: Failure }
  /** What is kept of the open file's scan has changed. */
  | { type: 'kept'; kept?: Kept }
  /** The scan is no longer recorded, but goes on. */
  | { type: 'unrecorded'; because: 'full' | 'elsewhere' }
  /** What `pictures` asked for has come, as far as it can be decoded, or was cancelled before. */
  | { type: 'pictured'; all: boolean }
  /** An analysis worker does not answer: it is to be replaced. */
  | { type: 'stuck'; worker: number }
  /** The workers were replaced; the file is being opened again, and what was scanned is lost. */
  | { type: 'restarted' }
  /** A file is being opened, and bytes of it were read. */
  | { type: 'reading' }
  /** Nothing more came from the job: the workers were replaced, and file and scan are given up. */
  | { type: 'hung'; failure: Failure }
  | { type: 'progress'; progress: Progress }
  | { type: 'candidate'; candidate: Candidate }
  /** Where scenes begin, as far as the scan has come, in seconds. */
  | { type: 'scenes'; starts_s: number[] }
  | { type: 'frame'; frame: FullFrame }
  | { type: 'selected'; manifest: Manifest; wasm_memory_bytes: number }
  | { type: 'exported'; zip?: Blob; folder?: string; manifest: Manifest }
  | { type: 'cancelled' }
  /** By `Engine.stop`: file and scan are given up. */
  | { type: 'stopped' }
  | { type: 'failed'; failure: Failure };

export type ToAnalysis =
  | { type: 'init'; assets: Assets; port: MessagePort };

/** Work for the pool, over the port between the job worker and an analysis worker. */
export type PoolRequest = {
  id: number;
  layout: unknown;
  pixels: Uint8Array<ArrayBuffer>;
} & ({ task: 'analyze' } | { task: 'encode'; stills: Stills } | { task: 'picture'; faces: Stills['faces'] });

export interface Analysis {
  faces: { bbox: Box; embedding: number[] }[];
  thumbnail: Uint8Array<ArrayBuffer>;
  portraits: Uint8Array<ArrayBuffer>[];
}

/** The pixels' buffer comes back for the next frame. */
export type PoolReply = { id: number; pixels: Uint8Array<ArrayBuffer>; wasm_memory_bytes: number } & (
  | { task: 'analyze'; result: Analysis }
  /** The frame, or its thumbnail, then each face. */
  | { task: 'encode' | 'picture'; result: Uint8Array<ArrayBuffer>[] }
  | { error: string }
);
