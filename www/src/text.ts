/**
 * Everything the page says, in one place: another language is another object of this shape. (What the engine says of files
 * and failures is in `npm/messages.ts`.)
 * Texts with numbers in them are functions.
 */

import type { DetectorName, FacesMode, Flag, Progress, Reason, Sensitivity } from 'framesift';

const LOCALE = 'en';

export function number(value: number): string {
  return value.toLocaleString(LOCALE);
}

export function count(n: number, one: string, many = `${one}s`): string {
  return `${number(n)} ${n === 1 ? one : many}`;
}

export function bytesText(bytes: number): string {
  const units = ['B', 'kB', 'MB', 'GB', 'TB'];
  let unit = 0;
  let value = bytes;
  while (value >= 1000 && unit < units.length - 1) {
    value /= 1000;
    unit += 1;
  }
  return `${value >= 100 || unit === 0 ? value.toFixed(0) : value.toFixed(1)} ${units[unit]}`;
}

/** 75.3 → "1:15.3"; with `decimals` 0 → "1:15". */
export function timeText(seconds: number, decimals = 0): string {
  const rounded = Number(seconds.toFixed(decimals));
  const h = Math.floor(rounded / 3600);
  const m = Math.floor((rounded % 3600) / 60);
  const s = (rounded % 60).toFixed(decimals).padStart(decimals > 0 ? 3 + decimals : 2, '0');
  return h > 0 ? `${h}:${String(m).padStart(2, '0')}:${s}` : `${m}:${s}`;
}

/** "40 s", "3 min". */
function roughText(seconds: number): string {
  if (seconds < 90) return `${Math.max(1, Math.round(seconds))} s`;
  if (seconds < 5400) return `${Math.round(seconds / 60)} min`;
  return `${(seconds / 3600).toFixed(1)} h`;
}

const REASONS: Record<Reason, string> = {
  look_alike: 'look like a kept frame',
  transition: 'in or next to a transition or a flash',
  blank: 'show next to nothing',
  blurred: 'much less sharp than the frames around them',
  no_face: 'without a face',
  budget: 'over the number of frames to keep',
  face_small: 'with faces that are too small',
  face_blurred: 'with blurred faces',
  face_profile: 'with faces turned to a side',
  face_dark: 'with faces that are too dark',
  face_bright: 'with faces that are too bright',
  face_truncated: 'with faces cut by the border',
  other_person: 'with faces of other people only',
  unwanted_person: 'showing someone who is left out',
  by_hand: 'left out by you',
};

const FLAGS: Record<Flag, string> = {
  small: 'too small to tell',
  blurred: 'blurred',
  profile: 'turned to a side',
  dark: 'too dark',
  bright: 'too bright',
  truncated: 'cut by the border',
};

const STAGES: Record<Progress['stage'], string> = {
  count: 'Counting frames',
  scan: 'Decoding and sampling',
  again: 'Taking a second look',
  faces: 'Finishing face analysis',
  export: 'Writing frames at full quality',
};

const FACES: Record<FacesMode, string> = {
  prefer: 'Prefer frames with good faces',
  require: 'Only frames with a face',
  ignore: 'Ignore faces',
};

const SENSITIVITIES: Record<Sensitivity, string> = {
  low: 'Low: only clear changes',
  normal: 'Normal',
  high: 'High: subtle changes too',
};

export const T = {
  tagline: 'A good set of stills of the people in a video.',
  privacy: {
    loading: 'Loading the page’s own files …',
    short: 'Nothing leaves this tab',
    title: 'What leaves this tab: nothing',
    text: [
      'The video is decoded and looked at on this machine. When the page had loaded its own files it forbade itself every connection, which no code of it can take back.',
      'Check it: open the developer tools (F12), Network, and run a job: no request follows. Or switch the network off now: the page goes on working.',
      'Its own files stay in this browser, so that it also opens without a network, and can be installed. On later visits the browser itself, not the page, asks once whether there is a new version of the file sw.js.',
      'No picture is stored, except in the files that you save: a ZIP grows in the browser’s private folder, from which it is removed when this page is opened again.',
      'So that a reload or a closed tab does not lose a scan, what it finds is kept in the same folder: times, measures with a mosaic of 32 × 18 points of each frame, and faces as places and numbers. It is removed when you save the result, open another video in its place, or say so; what a closed tab has left goes when the page is opened after seven days. Below the options it can be switched off.',
    ],
  },
  drop: {
    choose: 'Choose videos',
    hint: 'one or several, or drop them here. MP4, MOV, MKV, WebM, TS; a manifest.json brings back its session',
    another: 'Choose other videos',
    waiting: (name: string) => `“${name}” opens in a moment`,
    opening: 'Opening …',
    cancel: 'Cancel',
    points: [
      ['Every frame is looked at', 'Scenes are found, look-alikes skipped, and the sharpest moment of each is kept.'],
      ['People are recognised', 'Faces are found, rated and sorted by person, so that you can keep only whom you need.'],
      ['It stays with you', 'No upload, no account, no server: it also works with the network switched off.'],
    ] as [string, string][],
  },
  imported: {
    open: (name: string) => `Options and decisions of the set from “${name}” are back. Choose that video, and press Start or Go on, to get the same result.`,
    ready: (name: string) => `Options and decisions of the set from “${name}” are back. They take hold with the scan.`,
    now: (name: string) => `Options and decisions of the set from “${name}” are back.`,
    later: 'The page is still loading: choose the manifest again in a moment.',
    other: (name: string) => `The decisions that were read belong to “${name}”, which this is not: only the options are taken over.`,
    photos: (names: string) => `Who was looked for or left out by photos is not in a manifest: after the scan, choose the photos again (${names}).`,
  },
  queue: {
    title: (n: number, size: string) => `${number(n)} videos, ${size}`,
    hint: 'Open one to look at its result, or have all of them done with the options below: each gets a folder or a ZIP of its own. Photos of people hold for all of them.',
    folder: 'Scan all, save to a folder',
    zips: 'Scan all, download ZIPs',
    states: {
      waiting: 'waiting',
      open: 'open',
      scanning: 'being scanned',
      scanned: 'scanned',
      saving: 'being saved',
      saved: 'saved',
      failed: 'failed',
    },
    missing: (n: number) => `, ${count(n, 'frame')} missing`,
    done: (saved: number, failed: number) => `${count(saved, 'video')} saved${failed > 0 ? `, ${number(failed)} failed` : ''}.`,
  },
  facts: {
    label: 'The file',
    file: 'File',
    size: 'Size',
    length: 'Length',
    picture: 'Picture',
    rate: 'Frame rate',
    format: 'Format',
    perSecond: (rate: number) => `${rate.toFixed(2)} per s`,
    turned: (degrees: number) => `, turned ${degrees}°`,
  },
  settings: {
    title: 'Options',
    preset: 'Start from',
    presets: {
      custom: 'Your own options',
      training: 'Training set: varied, sharp, people first',
      person: 'Best shots of a person: only good faces',
      scenes: 'Every scene once',
      pyscenedetect: 'PySceneDetect: its adaptive detector',
    },
    more: 'More options',
    budget: 'Frames to keep, at most',
    budgetHint: 'Fewer are kept where the video has less to show.',
    faces: 'Faces',
    facesHint: 'Prefer: people first, other scenes still get a frame.',
    faceModes: FACES,
    similarity: 'Similarity limit',
    similarityHint: 'Frames at least this alike count as the same: 1 is identical, 0 unrelated.',
    detector: 'Scenes',
    detectorHint: 'PySceneDetect’s detectors cut where version 0.7 cuts with its default settings.',
    detectors: (name: DetectorName) => (name === 'default' ? 'framesift: cuts and transitions' : `PySceneDetect: ${name}`),
    sensitivity: 'Sensitivity',
    sensitivityHint: 'How much a change must stand out to begin a scene.',
    sensitivities: SENSITIVITIES,
    threshold: 'Threshold',
    thresholdHint: 'Lower finds more scenes. Empty: the detector’s default.',
    thresholdEmpty: 'default',
    minFace: 'Smallest face',
    minFaceHint: 'Longer side of its box, in pixels of the video.',
    gates: 'Faces that do not count',
    flags: FLAGS,
    batch: 'Frames per batch',
    batchHint: 'After each batch the scenes so far are shown, and recorded.',
    workers: 'Analysis workers',
    workersHint: (most: number) => `At most ${most}, and never more than the machine has to spare.`,
    embeddings: 'Write identity vectors (manifest and .npy)',
    embeddingsHint: 'They are biometric data: whoever has them can recognise the person. Off unless you need them.',
    afterScan: 'Fixed by the scan; choose the file again to change it.',
    link: 'Copy a link with these options',
    linkCopied: 'The link is in the clipboard.',
    linkFailed: 'The clipboard is not allowed here; the address bar holds the link.',
    config: 'Save as the command’s config file',
  },
  changes: {
    title: (gone: number, added: number) => `Just left out: ${number(gone)}${added > 0 ? `; just added: ${number(added)}` : ''}`,
    reason: (n: number, reason: string) => `${number(n)}: ${reason}`,
    close: 'Close',
    more: (n: number) => `and ${number(n)} more`,
    open: (time_s: number) => `Look at the frame at ${timeText(time_s, 2)}, which was just left out`,
  },
  start: 'Start',
  kept: {
    title: 'Scans that were not saved',
    scan: (name: string) => `The scan of “${name}” was not saved. Choose the file again to go on.`,
    forget: 'Forget it',
    forgetLabel: (name: string) => `Forget the scan of “${name}”`,
    resume: (done_s: number, ended: boolean) => (ended ? 'Back to the result' : `Go on from ${timeText(done_s)}`),
    again: 'Scan from the start',
    keep: 'Keep progress on this disk, so that a reload or a closed tab does not lose it',
    unrecorded: {
      full: {
        title: 'The progress of this scan cannot be kept any further: there is no more room on this disk.',
        advice: 'The scan goes on. After a reload it could be gone on with from here; free some room for more.',
      },
      elsewhere: {
        title: 'The progress of this scan cannot be kept: another tab scans the same file, or this browser has no files of its own for pages.',
        advice: 'The scan goes on, but a reload would lose it.',
      },
    },
  },
  leave: 'Open another file? The result and your decisions are lost.',
  estimating: 'Trying how long it will take …',
  estimate: (least_s: number, most_s: number) => `This takes about ${roughText(least_s)} to ${roughText(most_s)} on this machine, judged by some places of the video.`,
  running: {
    title: 'Working',
    progress: 'Progress',
    pause: 'Pause',
    resume: 'Go on',
    paused: 'Paused',
    cancel: 'Cancel',
    cancelled: 'Cancelled.',
    stages: STAGES,
    of: (done: number, total: number, candidates: boolean) => `${number(done)} of ${count(total, candidates ? 'candidate' : 'frame')}`,
    rate: (rate: number) => `${rate.toFixed(0)} frames per s`,
    candidates: (n: number) => count(n, 'candidate'),
    left: (seconds: number) => `about ${roughText(seconds)} left`,
    said: (stage: string, percent: number) => `${stage}: ${percent} %`,
  },
  result: {
    title: 'Result',
    kept: (n: number) => (n === 1 ? 'frame kept' : 'frames kept'),
    scenes: (n: number) => (n === 1 ? 'scene' : 'scenes'),
    faces: (n: number) => (n === 1 ? 'face' : 'faces'),
    people: (n: number) => (n === 1 ? 'person' : 'people'),
    complete: (n: number) => `All ${count(n, 'frame')} decoded.`,
    incomplete: (decoded: number, expected: number, missing: number) =>
      `${number(decoded)} of ${count(expected, 'frame')} decoded; ${number(missing)} missing.`,
    done: (n: number) => `Done: ${count(n, 'frame')} kept.`,
    undo: 'Undo',
    redo: 'Redo',
  },
  timeline: {
    label: 'Scenes',
    scene: (n: number, from_s: number, to_s: number, frames: number) =>
      `Scene ${n}, ${timeText(from_s, 1)} to ${timeText(to_s, 1)}, ${count(frames, 'frame')}`,
    legend: 'Blocks are scenes, hatching is a transition, marks are kept frames; tall amber ones show faces. The higher the amber ground, the more faces.',
  },
  gallery: {
    views: 'Which frames',
    kept: (n: number) => `Kept (${number(n)})`,
    leftOut: (n: number) => `Left out (${number(n)})`,
    sort: 'Sorted by',
    sorts: { scene: 'scene', person: 'person', quality: 'quality' },
    inOrder: 'In order of time',
    nobody: 'No face',
    byQuality: 'Best faces first',
    open: (time_s: number, people: string) => `Look at the frame at ${timeText(time_s, 2)}${people ? `, showing ${people}` : ''}`,
    nothingLeftOut: 'No candidate was left out.',
    leaveOut: 'Leave out',
    keep: 'Keep',
    decided: 'Decided by you',
    inScene: (n: number) => `scene ${n}`,
    empty: 'No frame fits these options. Raise the number of frames, lower the smallest face, or let more faces count.',
    leftOutTitle: (n: number) => `${count(n, 'candidate')} left out`,
    reasons: REASONS,
    keys: 'Arrow keys move, Enter looks closer, X leaves out or keeps, Ctrl+Z takes back.',
  },
  people: {
    title: 'People',
    none: 'No faces in the kept frames.',
    person: (n: string) => `Person ${n}`,
    name: (person: string) => `Name of ${person}`,
    split: 'Split',
    splitLabel: (name: string) => `${name} are two people: split them`,
    splitHint: 'Splits off the faces that are least like the others.',
    faces: (n: number) => count(n, 'face'),
    only: 'Only',
    onlyOne: (name: string) => `Only frames with ${name}`,
    sameAs: 'same as …',
    sameAsLabel: (name: string) => `${name} is the same person as`,
    apart: 'apart again',
    joined: (name: string, into: string) => `${name} counts as ${into}.`,
    best: (name: string) => `Best shot of ${name}`,
    spread: (yaw: number, size_px: number) => `turned up to ${Math.round(yaw)}°, up to ${Math.round(size_px)} px`,
    reference: 'Find someone by photos',
    referenceHint: 'Only frames with them, or none with them. The photos stay in this tab.',
    referenceIs: (names: string) => `Looking for who is on ${names}.`,
    everyone: 'Look for everyone again',
    without: 'Leave out',
    withoutOne: (name: string) => `Leave out every frame with ${name}`,
    withoutThese: (name: string) => `Frames with ${name} are left out.`,
    again: 'keep them again',
    againLabel: (name: string) => `keep them again: ${name}`,
    avoid: 'Leave someone out by photos',
    avoidIs: (names: string) => `Leaving out frames with who is on ${names}.`,
    nobody: 'Leave nobody out',
    likeReference: (cosine: number) => `like the photos ${cosine.toFixed(2)}`,
    likeAvoided: (cosine: number) => `like who is left out ${cosine.toFixed(2)}`,
    onlyThese: (names: string) => `Only frames with ${names} are kept.`,
    box: (name: string, quality: number, flags: string) => `${name}, quality ${quality.toFixed(2)}${flags ? `, ${flags}` : ''}`,
  },
  viewer: {
    title: (time_s: number) => `Frame at ${timeText(time_s, 2)}`,
    close: 'Close',
    before: 'Kept frame before',
    after: 'Kept frame after',
    stepBack: 'One frame back',
    stepOn: 'One frame on',
    loading: 'Decoding at full quality …',
    lost: 'This frame could not be decoded again.',
    boxes: 'Boxes and points',
    index: 'Frame',
    time: 'Time',
    scene: 'Scene',
    sharpness: 'Sharpness',
    reason: 'Left out',
    notCandidate: 'Not a candidate: a frame near it was sharper or looks the same.',
    pose: (yaw: number, pitch: number) => `turned ${Math.round(yaw)}°, ${Math.round(Math.abs(pitch))}° ${pitch > 0 ? 'down' : 'up'}`,
    keys: 'Left and right: kept frames. Comma and full stop: single frames. X: keep or leave out. Escape: close.',
  },
  export: {
    title: 'Save',
    zip: 'Download ZIP',
    folder: 'Save to a folder',
    estimate: (files: number, bytes: number) => `${count(files, 'file')}, about ${bytesText(bytes)}`,
    more: 'Formats and folders',
    format: 'Pictures',
    formats: { jpg: 'JPEG: small', webp: 'WebP: smaller', png: 'PNG: no losses' },
    quality: 'Quality',
    qualityHint: '1 to 100: more is larger. Faces get 3 more.',
    qualityWrong: (usual: number) => `A whole number from 1 to 100. Until then it is ${usual}.`,
    maxSide: 'Longer side, at most',
    maxSideHint: 'In pixels; empty: as in the video. Faces are cut out at full size.',
    maxSideWrong: 'A whole number from 16 to 65535, or empty. Until then frames have their full size.',
    crops: 'Faces cut out',
    cropKinds: {
      loose: 'with a margin, as they are',
      arcface112: 'aligned, 112 × 112 (ArcFace)',
      ffhq512: 'aligned, 512 × 512 (as FFHQ)',
      none: 'not at all',
    },
    folders: 'Folders',
    folderKinds: { flat: 'frames and faces', scene: 'one for each scene', person: 'one for each person' },
    names: 'File names',
    namesHint: 'A template of {index}, {time}, {scene}, {person} and {video}.',
    namesUnknown: (place: string) => `{${place}} is not known: there are {index}, {time}, {scene}, {person} and {video}. The usual names are taken.`,
    namesTwice: 'Each of them may stand there once. The usual names are taken.',
    namesSame: 'Without {index} or {time} two frames could be called the same. The usual names are taken.',
    also: 'Also write',
    alsoKinds: {
      imagefolder: 'metadata.jsonl (Hugging Face)',
      coco: 'coco.json',
      yolo: 'YOLO labels',
      csv: 'faces.csv',
      contact: 'contact sheets',
    },
    saved: (bytes: number) => `Saved ${bytesText(bytes)}.`,
    savedFolder: (n: number, name: string) => `${count(n, 'frame')} saved to the folder “${name}”.`,
    lost: (n: number) => `${count(n, 'frame')} could not be decoded again and ${n === 1 ? 'is' : 'are'} not among them.`,
    cancelled: 'Saving was cancelled. What was written so far is incomplete.',
    writing: 'Saving',
  },
  failures: {
    noWebCodecs: {
      title: 'This browser cannot decode video for web pages (it lacks WebCodecs).',
      advice: 'Use a current Chrome, Edge, Firefox or Safari. The page must be opened over https or from localhost.',
    },
    notLoaded: (why: string) => ({
      title: `The page’s own files could not be loaded (${why}).`,
      advice: 'Check the connection and reload the page.',
    }),
  },
};
