/** Types of `manifest.json` and of what crosses the border to wasm; the Rust side is `src/manifest.rs`. */

export type FacesMode = 'ignore' | 'prefer' | 'require';

/** How scenes are found: our own detector, or one of PySceneDetect's. */
export type DetectorName = 'default' | 'content' | 'adaptive' | 'hash' | 'hist' | 'threshold';

/** How much a change must stand out for our own detector. */
export type Sensitivity = 'low' | 'normal' | 'high';

/** What speaks against a face. */
export const FLAGS = ['small', 'blurred', 'profile', 'dark', 'bright', 'truncated'] as const;
export type Flag = (typeof FLAGS)[number];

/** Why a candidate was not kept. */
export type Reason =
  | 'look_alike' | 'transition' | 'blank' | 'blurred' | 'no_face' | 'budget'
  | 'face_small' | 'face_blurred' | 'face_profile' | 'face_dark' | 'face_bright' | 'face_truncated'
  | 'other_person' | 'unwanted_person' | 'by_hand';

export interface Options {
  /** Most frames to keep. */
  budget: number;
  /** Frames per batch. */
  batch: number;
  /** Face analysis workers. */
  workers: number;
  /** Its parameters are PySceneDetect's defaults where they are missing; the manifest has all. */
  detector: { name: DetectorName; threshold?: number; [parameter: string]: unknown };
  sensitivity: Sensitivity;
  /** Frames at least this similar count as look-alikes, 0–1. */
  similarity: number;
  faces: FacesMode;
  min_face_px: number;
  /** Faces with one of these flags do not count in the choice. */
  face_gates: Flag[];
  /** Format of the files. */
  format: 'jpg' | 'png' | 'webp';
  /** Quality of frames in formats with losses, 1–100; faces get a little more. */
  quality: number;
  /** Longer side of the frames' files in pixels, at most; faces are cut out of the whole frame. */
  max_side_px?: number;
  /** How faces are cut out. */
  crops: 'none' | 'loose' | 'arcface112' | 'ffhq512';
  /** How the files are sorted into folders. */
  folders: 'flat' | 'scene' | 'person';
  /** Template of file names; the usual ones where it is missing. */
  names?: string;
  /** Files for other tools beside the manifest. */
  also?: Dataset[];
  /** Names of the photos of those who are looked for. */
  reference?: string[];
  /** Names of the photos of those with whom no frame is kept. */
  avoid?: string[];
  /** What the user decided by hand. */
  edits?: Edits;
  /** Whether identity vectors are written to the manifest. */
  embeddings: boolean;
}

export const DATASETS = ['imagefolder', 'coco', 'yolo', 'csv', 'contact'] as const;
export type Dataset = (typeof DATASETS)[number];

/** What the user decided by hand, over what is chosen. */
export interface Edits {
  include?: number[];
  exclude?: number[];
  people?: PersonEdit[];
  /** People who are two: see `Edits::split` of `src/manifest.rs`. */
  split?: number[];
  only_people?: number[];
  /** People with whom no frame is kept. */
  without_people?: number[];
}

/** Number of the first person whom the user has split from another. */
export const FIRST_SPLIT = 1000;

export interface PersonEdit {
  id: number;
  name?: string;
  same_as?: number;
}

export const DEFAULT_OPTIONS: Readonly<Options> = {
  budget: 500,
  batch: 50,
  workers: 4,
  detector: { name: 'default' },
  sensitivity: 'normal',
  similarity: 0.8,
  faces: 'prefer',
  min_face_px: 20,
  face_gates: ['blurred', 'dark', 'bright'],
  embeddings: false,
  format: 'jpg',
  quality: 92,
  crops: 'loose',
  folders: 'flat',
};

/** x, y, width, height in pixels of the upright frame. */
export type Box = [number, number, number, number];

/** What files are made of a chosen frame. */
export interface Stills {
  format: Options['format'];
  quality: number;
  max_side_px?: number;
  crops: Options['crops'];
  faces: Pick<KeptFace, 'bbox' | 'landmarks'>[];
  /** Whether a small JPEG of the frame is made as well. */
  thumbnail: boolean;
}

export interface KeptFace {
  bbox: Box;
  score: number;
  landmarks: [number, number][];
  pose: { yaw_deg: number; pitch_deg: number; roll_deg: number };
  quality: number;
  flags: Flag[];
  person: number;
  embedding?: number[];
  /** How like the photos of those who are looked for, or left out, it is: the highest cosine. */
  reference_cosine?: number;
  avoid_cosine?: number;
  crop?: string;
}

export interface Person {
  id: number;
  name?: string;
  faces: number;
  best: string;
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
  size_bytes?: number;
  duration_s: number;
  width: number;
  height: number;
  rotation_deg: number;
  codec: string;
  /** High dynamic range, and which. */
  hdr?: 'pq' | 'hlg';
  frames_expected: number;
  frames_decoded: number;
  frames_missing: number;
  notes: string[];
}

export interface Rejected {
  index: number;
  time_s: number;
  /** How many faces it shows. */
  faces?: number;
  reason: Reason;
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
  rejected: Rejected[];
  people: Person[];
  timings_s: Record<string, number>;
}
