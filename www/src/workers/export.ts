/**
 * Writes the chosen frames: decodes only them again, at full quality, and
 * streams a ZIP (stored: JPEGs do not get smaller) into the browser's private
 * file system, so that its size does not matter to memory.
 *
 * The pool makes the JPEGs from the decoder's planes, with the code that the
 * faces were found with. A canvas would do too, but browsers may alter what they
 * read back from one (protection against fingerprinting), and Chromium keeps
 * what was drawn in a cache of hundreds of megabytes.
 */

import { makeZip } from 'client-zip';
import type { InputVideoTrack } from 'mediabunny';
import type { KeptFrame, Manifest } from '../manifest';
import { copyFrame, samplesAt } from './decode';
import type { Accepted, Pool } from './pool';

const EXPORT_FILE = 'framesift-export.zip';

interface Entry {
  name: string;
  input: Uint8Array<ArrayBuffer> | string;
  lastModified: Date;
}

export interface ExportHooks {
  onProgress: (done: number) => void;
  /** Completes the manifest when all else is written. */
  finish: (manifest: Manifest) => Manifest;
  /** The manifest's scenes as a table. */
  scenesCsv: (manifest: Manifest) => string;
  cancelled: () => boolean;
}

/** Frames that could not be decoded again are left out of the manifest and named in its notes. */
export async function exportZip(
  track: InputVideoTrack,
  manifest: Manifest,
  pool: Pool,
  { onProgress, finish, scenesCsv, cancelled }: ExportHooks,
): Promise<{ zip: Blob; manifest: Manifest }> {
  const lost: KeptFrame[] = [];
  const written: KeptFrame[] = [];
  let final = manifest;

  async function* entries(): AsyncGenerator<Entry> {
    const lastModified = new Date();
    for await (const { frame, files } of encoded(track, manifest, pool, cancelled)) {
      if (cancelled()) return;
      const names = [frame.file, ...frame.faces.flatMap((face) => face.crop ?? [])];
      if (files) {
        for (const [i, input] of files.entries()) yield { name: names[i] ?? '', input, lastModified };
      }
      (files ? written : lost).push(frame);
      onProgress(written.length + lost.length);
    }
    final = finish(withoutLost(manifest, written, lost));
    yield { name: 'scenes.csv', input: scenesCsv(final), lastModified };
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
  const people = manifest.people.flatMap((person) => {
    const faces = frames.flatMap((f) => f.faces.filter((face) => face.person === person.id).map((face) => ({ ...face, file: f.file })));
    const [first, ...others] = faces;
    if (!first) return [];
    const best = others.reduce((a, b) => (a.quality >= b.quality ? a : b), first);
    return [{ ...person, faces: faces.length, best: best.crop ?? best.file }];
  });
  return { ...manifest, frames, people, video: { ...manifest.video, notes: [...manifest.video.notes, note] } };
}

interface Encoded {
  frame: KeptFrame;
  /** The frame's JPEG and its faces'; `null` where decoding fails. */
  files: Uint8Array<ArrayBuffer>[] | null;
}

/** The kept frames in order. The pool works on the next ones meanwhile. */
async function* encoded(
  track: InputVideoTrack,
  manifest: Manifest,
  pool: Pool,
  cancelled: () => boolean,
): AsyncGenerator<Encoded> {
  const { frames, options } = manifest;
  const ahead: { frame: KeptFrame; files: Accepted<Uint8Array<ArrayBuffer>[]> | null }[] = [];
  const first = async (): Promise<Encoded | undefined> => {
    const next = ahead.shift();
    return next && { frame: next.frame, files: next.files && (await next.files.result) };
  };
  let i = 0;
  for await (const sample of samplesAt(track, frames.map((f) => f.time_s))) {
    const frame = frames[i++];
    if (!frame || cancelled()) {
      sample?.close();
      return;
    }
    if (sample) {
      try {
        let pixels = new Uint8Array();
        const layout = await copyFrame(sample, (bytes) => (pixels = pool.buffer(bytes)));
        const faces = frame.faces.map(({ bbox, landmarks }) => ({ bbox, landmarks }));
        const stills = { format: options.format, crops: options.crops, faces };
        const files = await pool.encode({ layout, pixels }, stills, options.workers);
        // Its failure is met when its turn comes.
        files.result.catch(() => undefined);
        ahead.push({ frame, files });
      } finally {
        sample.close();
      }
    } else {
      ahead.push({ frame, files: null });
    }
    if (ahead.length >= pool.capacity(options.workers)) {
      const done = await first();
      if (done) yield done;
    }
  }
  for (let done = await first(); done; done = await first()) yield done;
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
