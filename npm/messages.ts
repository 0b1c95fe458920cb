/**
 * Everything that the engine says to users, in one place: another language is another object of this shape. What the page
 * says is in `www/src/text.ts`.
 */

import type { Failure } from './protocol';

const REWRITE = 'Rewriting it may help: ffmpeg -i input -c:v libx264 output.mp4';
const CUT_OFF =
  'The file seems to be cut off or damaged. Copy or download it again; a recording that was interrupted can often be repaired with: ffmpeg -i input -c copy output.mp4';

const failure = (title: string, advice: string): Failure => ({ title, advice });

export const SAY = {
  // opening
  empty: (name: string) => failure(`“${name}” is empty (0 bytes).`, 'Choose another file, or copy this one again from where it came.'),
  unknownFile: (name: string) =>
    failure(
      `“${name}” is not a video file that framesift knows.`,
      'framesift reads MP4, MOV, MKV, WebM and MPEG-TS files. If it plays elsewhere, convert it, for example with: ffmpeg -i input -c:v libx264 output.mp4',
    ),
  noVideo: (name: string, kinds: string[]) => failure(`“${name}” has no video track, only ${kinds.join(' and ')}.`, 'Choose a file that shows a picture when you play it.'),
  noIndex: (name: string) => failure(`“${name}” has no index of what it holds.`, CUT_OFF),
  badIndex: (name: string, why: string) => failure(`The index of “${name}” cannot be read (${why}).`, CUT_OFF),
  noDecoder: (codec: string | undefined, parameters: string | null) =>
    failure(
      `This browser cannot decode ${codec ?? 'what this video is coded with'}${parameters ? ` (${parameters})` : ''}.`,
      'Try another browser, or convert the file: ffmpeg -i input -c:v libx264 -crf 18 output.mp4',
    ),
  noHevc: (parameters: string | null) =>
    failure(
      `This browser cannot decode HEVC (H.265)${parameters ? ` (${parameters})` : ''}.`,
      'Chrome, Edge and Safari decode HEVC on machines whose graphics hardware does. Try one of them, or convert the file: ffmpeg -i input -c:v libx264 -crf 18 output.mp4',
    ),
  hung: (seconds: number) =>
    failure(
      `This file has kept the page busy for ${seconds} seconds without getting any further.`,
      'It seems to be damaged. Rewriting it may help: ffmpeg -i input -c copy output.mp4. Other files can be chosen now.',
    ),

  // scanning
  noFrames: () => failure('This file holds no frames of video.', `The file is damaged, or cut so that it starts inside a group of pictures. ${REWRITE}`),
  noneDecoded: (frames: number, why: string | undefined) =>
    failure(`None of the ${frames} frames of this file could be decoded${why ? ` (${why})` : ''}.`, `The file is damaged, or cut so that it starts inside a group of pictures. ${REWRITE}`),
  keptBefore: () => failure('An earlier scan of this file is kept.', 'Go on with it, or press “Scan from the start”.'),
  notLater: (time_s: number) => `a frame was left out that is not later than the one before it, at ${time_s.toFixed(3)} s`,
  decodingFailed: (time_s: number, why: string) => `decoding failed after ${time_s.toFixed(3)} s: ${why}`,
  noFacesLookedFor: (time_s: number, why: string) => `no faces could be looked for in the frame at ${time_s.toFixed(3)} s: ${why}`,
  more: (notes: number) => `${notes} more of this kind`,
  workerLost: 'its worker stopped, most likely for want of memory',
  workerStopped: (why: string) =>
    failure(
      `A background worker stopped: ${why || 'no reason given'}.`,
      'Close other tabs to free memory, or try with fewer workers. The file is still chosen: go on where it stopped, or begin anew.',
    ),
  noWebCodecs: () => failure('This browser cannot decode video for web pages (it lacks WebCodecs).', 'Use a current one. The page must be opened over https or from localhost.'),
  notLoaded: (why: string) => failure(`What scans need could not be loaded (${why}).`, 'Check the connection and try again.'),
  unexpected: (why: string) => failure(`Something went wrong: ${why}`, 'Reload the page and try again. If it happens again with this file, the file may be damaged.'),

  // reviewing
  notDecodedAgain: () => failure('This frame could not be decoded again.', 'Choose one beside it.'),
  notLookedAt: (why: string) => failure(`This frame could not be looked at: ${why}.`, 'Try it once more, or choose one beside it.'),
  noFaceOn: (photo: string) => failure(`No face was found on “${photo}”.`, 'Take a photo that shows the face from the front, at least 30 pixels wide.'),
  noPicture: (photo: string) => failure(`“${photo}” is no picture that this browser reads.`, 'Take a JPEG, PNG or WebP.'),
  photo: 'photo',

  // saving
  noManifest: (name: string, why: string) => failure(`“${name}” cannot be read: ${why}.`, 'Choose the manifest.json of a set that framesift has saved.'),
  tooLargeForManifest: (name: string) => failure(`“${name}” is too large for a manifest.`, 'Choose the manifest.json of a set that framesift has saved.'),
  notMade: (why: string) =>
    failure(`A frame could not be made a file: ${why}.`, 'Take another format, a smaller size, or fewer workers, which need less memory. The scan is still there.'),
  notWritten: (name: string, why: string) =>
    failure(`“${name}” could not be written to the folder (${why}).`, 'Choose another folder, or one with more room. What was written before is still there.'),
  noRoom: () => failure('The ZIP needs more room than the browser may use on this machine’s disk.', 'Free some, or save to a folder, or keep fewer frames. The scan is still there.'),
  lostAtExport: (frames: number, times: string) => `${frames} chosen frame(s) could not be decoded again for export: ${times}`,
};
