/**
 * Writes the chosen frames: decodes only them again, at full quality, and
 * writes them to a folder, or streams a ZIP (stored: pictures do not get smaller) into the browser's private
 * file system, so that its size does not matter to memory.
 *
 * The pool makes the JPEGs from the decoder's planes, with the code that the
 * faces were found with. A canvas would do too, but browsers may alter what they
 * read back from one (protection against fingerprinting), and Chromium keeps
 * what was drawn in a cache of hundreds of megabytes.
 */

import { makeZip } from 'client-zip';
import type { InputVideoTrack, VideoSample } from 'mediabunny';
import type { KeptFrame, Manifest } from '../manifest';
import { SAY } from '../messages';
import { copyFrame, samplesAt } from './decode';
import { UserError, reason } from './failure';
import type { Accepted, Pixels, Pool } from './pool';
import { removeFiles } from './storage';

/** ZIPs in the making have such names, with a number of their own: two tabs may save at once. */
const EXPORT_FILE = 'framesift-export-';

/** Name and content. */
export type NamedFile = [string, Entry['input']];

interface Entry {
  name: string;
  input: Uint8Array<ArrayBuffer> | string;
  lastModified: Date;
}

export interface ExportHooks {
  onProgress: (done: number) => void;
  /** Completes the manifest when all else is written. */
  finish: (manifest: Manifest) => Manifest;
  /** Files beside the pictures. `thumbnails`: of the manifest's frames, where contact sheets are wanted. */
  tables: (manifest: Manifest, thumbnails: Uint8Array<ArrayBuffer>[]) => NamedFile[];
  cancelled: () => boolean;
}

/** Frames that could not be decoded again are left out of the manifest and named in its notes. */
export class ExportFiles {
  private readonly lost: KeptFrame[] = [];
  private readonly written: KeptFrame[] = [];
  /** Pictures, which nobody needs when they are written. */
  private readonly pictures = new WeakSet<ArrayBuffer>();
  private final: Manifest;

  constructor(
    private readonly track: InputVideoTrack,
    private readonly manifest: Manifest,
    private readonly pool: Pool,
    private readonly hooks: ExportHooks,
  ) {
    this.final = manifest;
  }

  async toZip(): Promise<{ zip: Blob; manifest: Manifest }> {
    const stream = makeZip(this.entries());
    const zip = (await storeInPrivateFileSystem(stream, (chunk) => this.release(chunk))) ?? (await new Response(stream).blob());
    return { zip, manifest: this.final };
  }

  /** Into a new folder in a folder. The manifest comes last, so that one that has it is whole. */
  async toFolder(parent: FileSystemDirectoryHandle, wanted: string): Promise<{ manifest: Manifest; folder: string }> {
    const folder = await newFolder(parent, wanted);
    for await (const { name, input } of this.entries()) {
      try {
        await write(folder, name, input);
      } catch (error) {
        throw new UserError(SAY.notWritten(name, reason(error)));
      }
    }
    return { manifest: this.final, folder: folder.name };
  }

  /** Gives back what a picture takes, where the browser can: garbage of hundreds of megabytes is collected late. */
  private release({ buffer }: Uint8Array<ArrayBuffer>): void {
    if (this.pictures.has(buffer)) (buffer as ArrayBuffer & { transfer?: (bytes: number) => ArrayBuffer }).transfer?.(0);
  }

  private async *entries(): AsyncGenerator<Entry> {
    const { lost, written, manifest, hooks } = this;
    const lastModified = new Date();
    const withSheets = hasSheets(manifest);
    const thumbnails: Uint8Array<ArrayBuffer>[] = [];
    for await (const { frame, files } of encoded(this.track, manifest, this.pool, hooks.cancelled)) {
      if (hooks.cancelled()) return;
      const names = [frame.file, ...frame.faces.flatMap((face) => face.crop ?? [])];
      if (files) {
        const thumbnail = withSheets && files.pop();
        if (thumbnail) thumbnails.push(thumbnail);
        for (const [i, input] of files.entries()) {
          this.pictures.add(input.buffer);
          yield { name: names[i] ?? '', input, lastModified };
        }
      }
      (files ? written : lost).push(frame);
      hooks.onProgress(written.length + lost.length);
    }
    if (hooks.cancelled()) return;
    this.final = hooks.finish(withoutLost(manifest, written, lost));
    for (const [name, input] of hooks.tables(this.final, thumbnails)) yield { name, input, lastModified };
    yield { name: 'manifest.json', input: `${JSON.stringify(this.final, null, 1)}\n`, lastModified };
  }
}

/** A folder of this name, or with a number behind it where there is one already. */
async function newFolder(parent: FileSystemDirectoryHandle, name: string): Promise<FileSystemDirectoryHandle> {
  const names = new Set<string>();
  for await (const one of parent.keys()) names.add(one);
  let free = name;
  for (let number = 2; names.has(free); number++) free = `${name}-${number}`;
  return parent.getDirectoryHandle(free, { create: true });
}

async function write(root: FileSystemDirectoryHandle, path: string, input: Entry['input']): Promise<void> {
  const parts = path.split('/');
  const name = parts.pop() ?? path;
  let folder = root;
  for (const part of parts) folder = await folder.getDirectoryHandle(part, { create: true });
  const target = await (await folder.getFileHandle(name, { create: true })).createWritable();
  try {
    await target.write(input);
    // The file gets its content only now.
    await target.close();
  } catch (error) {
    await target.abort().catch(() => undefined);
    throw error;
  }
}

function hasSheets({ options }: Manifest): boolean {
  return options.also?.includes('contact') ?? false;
}

function withoutLost(manifest: Manifest, frames: KeptFrame[], lost: KeptFrame[]): Manifest {
  if (lost.length === 0) return manifest;
  const times = lost.map((f) => `${f.time_s.toFixed(3)} s`).join(', ');
  const note = SAY.lostAtExport(lost.length, times);
  const people = manifest.people.flatMap((person) => {
    const faces = frames.flatMap((f) => f.faces.filter((face) => face.person === person.id).map((face) => ({ ...face, file: f.file })));
    const [first, ...others] = faces;
    if (!first) return [];
    const best = others.reduce((a, b) => (a.quality >= b.quality ? a : b), first);
    return [{ ...person, faces: faces.length, best: best.crop ?? best.file }];
  });
  return { ...manifest, frames, people, video: { ...manifest.video, notes: [...manifest.video.notes, note] } };
}

/** A frame's pixels in a buffer of the pool; the frame is closed. */
export async function pixelsOf(sample: VideoSample, pool: Pool): Promise<Pixels> {
  try {
    let pixels = new Uint8Array();
    const layout = await copyFrame(sample, (bytes) => (pixels = pool.buffer(bytes)));
    return { layout, pixels };
  } finally {
    sample.close();
  }
}

function notMade(error: Error): never {
  throw new UserError(SAY.notMade(error.message));
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
    return next && { frame: next.frame, files: next.files && (await next.files.result.catch(notMade)) };
  };
  let i = 0;
  for await (const sample of samplesAt(track, frames.map((f) => f.time_s))) {
    const frame = frames[i++];
    if (!frame || cancelled()) {
      sample?.close();
      return;
    }
    if (sample) {
      const faces = frame.faces.map(({ bbox, landmarks }) => ({ bbox, landmarks }));
      const { format, quality, max_side_px, crops } = options;
      const stills = { format, quality, ...(max_side_px && { max_side_px }), crops, faces, thumbnail: hasSheets(manifest) };
      const files = await pool.encode(await pixelsOf(sample, pool), stills, options.workers);
      // Its failure is met when its turn comes.
      files.result.catch(() => undefined);
      ahead.push({ frame, files });
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

/** ZIPs of this worker. */
const made: string[] = [];

/** `null`, with the stream untouched, where there is no private file system. */
async function storeInPrivateFileSystem(stream: ReadableStream<Uint8Array>, onWritten: (chunk: Uint8Array<ArrayBuffer>) => void): Promise<Blob | null> {
  const name = `${EXPORT_FILE}${crypto.randomUUID()}.zip`;
  let root: FileSystemDirectoryHandle;
  let handle: FileSystemFileHandle;
  let target: FileSystemWritableFileStream;
  try {
    root = await navigator.storage.getDirectory();
    // The browser may still be copying the last one.
    for (const old of made.splice(0, made.length - 1)) await root.removeEntry(old).catch(() => undefined);
    // Held as long as the worker lives: the file is in use.
    void navigator.locks.request(name, () => new Promise(() => undefined));
    handle = await root.getFileHandle(name, { create: true });
    made.push(name);
    target = await handle.createWritable();
  } catch {
    return null;
  }
  try {
    const write = async (chunk: Uint8Array<ArrayBuffer>) => {
      await target.write(chunk);
      onWritten(chunk);
    };
    await stream.pipeTo(new WritableStream({ write, close: () => target.close(), abort: () => target.abort() }));
  } catch (error) {
    await root.removeEntry(name).catch(() => undefined);
    if (!(error instanceof DOMException && error.name === 'QuotaExceededError')) throw error;
    throw new UserError(SAY.noRoom());
  }
  return handle.getFile();
}

/** Removes the ZIPs of this worker. */
export async function removeMade(): Promise<void> {
  if (made.length === 0) return;
  const root = await navigator.storage.getDirectory();
  await Promise.allSettled(made.splice(0).map((name) => root.removeEntry(name)));
}

/** Removes the ZIPs that tabs have left which are closed. */
export async function removeLeftovers(): Promise<void> {
  await removeFiles((name) => Promise.resolve(name.startsWith(EXPORT_FILE)));
}
