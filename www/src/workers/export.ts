/**
 * Writes the chosen frames: decodes only them again, at full quality, and
 * streams a ZIP (stored: JPEGs do not get smaller) into the browser's private
 * file system, so that its size does not matter to memory.
 */

import { makeZip } from 'client-zip';
import { type InputVideoTrack, type VideoSample, VideoSampleSink } from 'mediabunny';
import type { Box, KeptFrame, Manifest } from '../manifest';

const FRAME_QUALITY = 0.92;
const FACE_QUALITY = 0.95;
/** Side of a face's picture, as a multiple of the longer side of its box. */
const FACE_MARGIN = 1.6;
/** Presentation times are equal when they differ by less than this. */
const SAME_TIME_S = 0.0005;
const EXPORT_FILE = 'framesift-export.zip';

interface Entry {
  name: string;
  input: Blob | string;
  lastModified: Date;
}

/** Frames that could not be decoded again are left out of the manifest and named in its notes. */
export async function exportZip(
  track: InputVideoTrack,
  manifest: Manifest,
  onProgress: (done: number) => void,
  finish: (manifest: Manifest) => Manifest,
  cancelled: () => boolean,
): Promise<{ zip: Blob; manifest: Manifest }> {
  const written: KeptFrame[] = [];
  const lost: KeptFrame[] = [];
  let final = manifest;
  const frameCanvas = new Canvas();
  const faceCanvas = new Canvas();

  async function* entries(): AsyncGenerator<Entry> {
    const lastModified = new Date();
    for await (const { frame, sample } of samplesOf(track, manifest.frames)) {
      if (cancelled()) {
        sample?.close();
        return;
      }
      if (sample) {
        const picture = draw(sample, frameCanvas);
        sample.close();
        yield { name: frame.file, input: await encode(picture, FRAME_QUALITY), lastModified };
        for (const face of frame.faces) {
          yield { name: face.crop, input: await encode(cropFace(picture, face.bbox, faceCanvas), FACE_QUALITY), lastModified };
        }
        written.push(frame);
      } else {
        lost.push(frame);
      }
      onProgress(written.length + lost.length);
    }
    final = finish(withoutLost(manifest, written, lost));
    yield { name: 'manifest.json', input: `${JSON.stringify(final, null, 1)}\n`, lastModified };
  }

  const stream = makeZip(entries());
  const zip = (await storeInPrivateFileSystem(stream)) ?? (await new Response(stream).blob());
  return { zip, manifest: final };
}

function withoutLost(manifest: Manifest, frames: KeptFrame[], lost: KeptFrame[]): Manifest {
  if (lost.length === 0) return manifest;
  const times = lost.map((f) => `${f.time_s.toFixed(3)} s`).join(', ');
  const note = `${lost.length} chosen frame(s) could not be decoded again for export: ${times}`;
  return { ...manifest, frames, video: { ...manifest.video, notes: [...manifest.video.notes, note] } };
}

/** The frames' pictures in order; `null` where decoding fails. */
async function* samplesOf(
  track: InputVideoTrack,
  frames: KeptFrame[],
): AsyncGenerator<{ frame: KeptFrame; sample: VideoSample | null }> {
  let next = 0;
  while (next < frames.length) {
    const rest = frames.slice(next);
    try {
      for await (const sample of new VideoSampleSink(track).samplesAtTimestamps(rest.map((f) => f.time_s))) {
        const frame = frames[next];
        if (!frame) break;
        next += 1;
        if (sample && Math.abs(sample.timestamp - frame.time_s) < SAME_TIME_S) {
          yield { frame, sample };
        } else {
          sample?.close();
          yield { frame, sample: null };
        }
      }
      // The track ended before the last wanted time.
      for (; next < frames.length; next++) {
        const frame = frames[next];
        if (frame) yield { frame, sample: null };
      }
    } catch {
      // The decoder gave up on this one; the others get a decoder of their own.
      const frame = frames[next];
      next += 1;
      if (frame) yield { frame, sample: await single(track, frame.time_s) };
    }
  }
}

async function single(track: InputVideoTrack, time_s: number): Promise<VideoSample | null> {
  try {
    const sample = await new VideoSampleSink(track).getSample(time_s);
    if (sample && Math.abs(sample.timestamp - time_s) < SAME_TIME_S) return sample;
    sample?.close();
  } catch {
    // Reported as lost by the caller.
  }
  return null;
}

/**
 * One canvas for all frames and one for all faces: a canvas per picture would
 * hold its pixels until the next garbage collection.
 */
class Canvas {
  private readonly canvas = new OffscreenCanvas(1, 1);

  /** The canvas at a new size, empty. */
  sized(width: number, height: number): OffscreenCanvas {
    this.canvas.width = width;
    this.canvas.height = height;
    return this.canvas;
  }
}

/** The frame as it is to be shown: rotated, with square pixels. */
function draw(sample: VideoSample, target: Canvas): OffscreenCanvas {
  const canvas = target.sized(sample.displayWidth, sample.displayHeight);
  sample.draw(context(canvas), 0, 0, canvas.width, canvas.height);
  return canvas;
}

/** A square around the face, as far as the picture reaches. */
function cropFace(picture: OffscreenCanvas, [x, y, w, h]: Box, target: Canvas): OffscreenCanvas {
  const side = Math.max(w, h) * FACE_MARGIN;
  const left = Math.max(0, Math.round(x + w / 2 - side / 2));
  const top = Math.max(0, Math.round(y + h / 2 - side / 2));
  const width = Math.max(1, Math.min(picture.width - left, Math.round(side)));
  const height = Math.max(1, Math.min(picture.height - top, Math.round(side)));
  const canvas = target.sized(width, height);
  context(canvas).drawImage(picture, left, top, width, height, 0, 0, width, height);
  return canvas;
}

function context(canvas: OffscreenCanvas): OffscreenCanvasRenderingContext2D {
  const context = canvas.getContext('2d', { willReadFrequently: true });
  if (!context) throw new Error(`no 2D canvas of ${canvas.width} × ${canvas.height} pixels`);
  return context;
}

function encode(canvas: OffscreenCanvas, quality: number): Promise<Blob> {
  return canvas.convertToBlob({ type: 'image/jpeg', quality });
}

/** `null`, with the stream untouched, where there is no private file system. */
async function storeInPrivateFileSystem(stream: ReadableStream<Uint8Array>): Promise<Blob | null> {
  let handle: FileSystemFileHandle;
  let target: FileSystemWritableFileStream;
  try {
    const root = await navigator.storage.getDirectory();
    handle = await root.getFileHandle(EXPORT_FILE, { create: true });
    target = await handle.createWritable();
  } catch {
    return null;
  }
  await stream.pipeTo(target);
  return handle.getFile();
}
