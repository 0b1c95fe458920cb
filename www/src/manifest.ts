/** Types of `manifest.json` and of what crosses the border to wasm; the Rust side is `src/manifest.rs`. */

export type FacesMode = 'ignore' | 'prefer' | 'require';

/** How scenes are found: our own detector, or one of PySceneDetect's. */
export type DetectorName = 'default' | 'content' | 'adaptive' | 'hash' | 'hist' | 'threshold';

export interface Options {
  /** Most frames to keep. */
  budget: number;
  /** Frames per batch. */
  batch: number;
  /** Face analysis workers. */
  workers: number;
  /** Its parameters are PySceneDetect's defaults where they are missing; the manifest has all. */
  detector: { name: DetectorName; [parameter: string]: unknown };
  /** Frames at least this similar count as look-alikes, 0–1. */
  similarity: number;
  faces: FacesMode;
  min_face_px: number;
  /** Whether identity vectors are written to the manifest. */
  embeddings: boolean;
}

export const DEFAULT_OPTIONS: Readonly<Options> = {
  budget: 500,
  batch: 50,
  workers: 4,
  detector: { name: 'default' },
  similarity: 0.8,
  faces: 'prefer',
  min_face_px: 20,
  embeddings: false,
};

/** x, y, width, height in pixels of the upright frame. */
export type Box = [number, number, number, number];

export interface KeptFace {
  bbox: Box;
  score: number;
  landmarks: [number, number][];
  quality: number;
  flags: string[];
  person: number;
  embedding?: number[];
  crop: string;
}

export interface KeptFrame {
  file: string;
  index: number;
  time_s: number;
  scene: number;
  sharpness: number;
  faces: KeptFace[];
}

export interface Scene {
  index: number;
  start_s: number;
  end_s: number;
  start_frame: number;
  end_frame: number;
  transition: 'start' | 'cut' | 'dissolve' | 'fade' | 'wipe';
  transition_start_frame?: number;
  transition_end_frame?: number;
}

export interface Video {
  name: string;
  duration_s: number;
  width: number;
  height: number;
  rotation_deg: number;
  codec: string;
  frames_expected: number;
  frames_decoded: number;
  frames_missing: number;
  notes: string[];
}

export interface Manifest {
  schema: string;
  tool: { name: string; version: string; build: string };
  pack: Record<string, unknown>;
  device: string;
  video: Video;
  options: Options;
  scenes: Scene[];
  frames: KeptFrame[];
  rejected: { index: number; time_s: number; reason: string }[];
  people: { id: number; faces: number; best: string }[];
  timings_s: Record<string, number>;
}
