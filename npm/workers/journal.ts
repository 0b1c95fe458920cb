/**
 * A scan's records in the browser's private file system, as it goes, so that a reload or a closed tab does not
 * lose it. What is written is the journal of `src/journal.rs`: measures of the frames, a mosaic of each among them, and
 * the faces found.
 */

import type { Kept, KeptScan } from '../protocol';
import { removeFiles } from './storage';
import type { Wasm } from './wasm';

const JOURNAL_FILE = 'framesift-scan-';
/** Scans that nobody went on with for so long are forgotten. */
const MOST_DAYS = 7;
/** Longer than a browser takes to end a worker that is busy. */
const LOCK_MS = 3000;
/** Bytes of a video's head and tail that tell it from others. */
const TOLD_APART_BY_BYTES = 1 << 16;

/** As the first entry of a journal names its video. */
const NAMED = /^(.*), \d+ bytes, changed [\d.]+, [0-9a-f]{64}$/s;

/** What tells a video from others: name, size, time of change and a hash of head and tail. */
async function toldApart(file: File): Promise<string> {
  const parts = [file.slice(0, TOLD_APART_BY_BYTES), file.slice(Math.max(0, file.size - TOLD_APART_BY_BYTES))];
  const hash = await sha256(await new Blob(parts).arrayBuffer());
  return `${file.name}, ${file.size} bytes, changed ${file.lastModified / 1000}, ${hash}`;
}

async function sha256(bytes: BufferSource): Promise<string> {
  const hash = new Uint8Array(await crypto.subtle.digest('SHA-256', bytes));
  return [...hash].map((byte) => byte.toString(16).padStart(2, '0')).join('');
}

async function idOf(named: string): Promise<string> {
  return `${JOURNAL_FILE}${await sha256(new TextEncoder().encode(named))}`;
}

/** Scans of other times that could be gone on with, as far as no other tab has them. */
export async function keptScans(wasm: Wasm): Promise<KeptScan[]> {
  const oldest_ms = Date.now() - MOST_DAYS * 24 * 3600 * 1000;
  const kept: KeptScan[] = [];
  await removeFiles(async (name, handle) => {
    if (!name.startsWith(JOURNAL_FILE)) return false;
    const file = await handle.getFile();
    if (file.lastModified < oldest_ms) return true;
    const head = new Uint8Array(await file.slice(0, wasm.journal_head_bytes()).arrayBuffer());
    const bytes = wasm.journal_entry_bytes(head) ?? 0;
    const first = wasm.journal_entry(new Uint8Array(await file.slice(0, head.length + bytes).arrayBuffer())) as EntryView | undefined;
    if (first?.kind !== 'begin' || !first.current) return true;
    kept.push({ id: name, name: NAMED.exec(first.begin.video)?.[1] ?? '' });
    return false;
  });
  return kept;
}

/** Forgets a kept scan. */
export async function forgetScan(id: string): Promise<void> {
  await removeFiles((name) => Promise.resolve(name === id));
}

/** A file that is read and written at once, which only workers have (<https://fs.spec.whatwg.org/#filesystemsyncaccesshandle>). */
interface SyncFile {
  read(into: Uint8Array<ArrayBuffer>, options: { at: number }): number;
  write(from: Uint8Array, options: { at: number }): number;
  truncate(bytes: number): void;
  getSize(): number;
  flush(): void;
  close(): void;
}

/** `EntryView` of `src/browser.rs`. */
type EntryView =
  | { kind: 'begin'; current: boolean; begin: { video: string; options: Kept['options'] } }
  | { kind: 'frames'; frames: number; last_s: number; ended: boolean }
  | { kind: 'faces' };

export class Journal {
  /** Where the next entry goes; what is behind it is torn. */
  private end = 0;

  private constructor(
    private readonly wasm: Wasm,
    readonly id: string,
    /** What tells its video from others. */
    readonly video: string,
    /** Nothing until there is something to keep. */
    private handle: SyncFile | undefined,
    /** Lets other tabs have it. */
    private readonly release: () => void,
  ) {}

  /** The journal of a video; nothing where the browser has no private file system, or another tab scans the same. */
  static async open(wasm: Wasm, video: File): Promise<Journal | undefined> {
    try {
      const named = await toldApart(video);
      const id = await idOf(named);
      const root = await navigator.storage.getDirectory();
      const release = await lock(id);
      if (!release) return undefined;
      try {
        const there = await root.getFileHandle(id).catch(() => undefined);
        return new Journal(wasm, id, named, there && (await opened(there)), release);
      } catch (error) {
        release();
        throw error;
      }
    } catch {
      return undefined;
    }
  }

  /** Its name for a video; nothing where the browser hashes nothing for this page. */
  static async idOf(video: File): Promise<string | undefined> {
    return toldApart(video).then(idOf, () => undefined);
  }

  /** What an earlier scan has left in it, if it has come to anything. */
  kept(): Kept | undefined {
    let options: Kept['options'] | undefined;
    let [frames, done_s, ended] = [0, 0, false];
    for (const entry of this.entries()) {
      const seen = this.wasm.journal_entry(entry) as EntryView | undefined;
      if (!seen) break;
      if (seen.kind === 'begin' && !seen.current) return undefined;
      if (seen.kind === 'begin') ({ options } = seen.begin);
      if (seen.kind === 'frames') {
        frames += seen.frames;
        ({ ended } = seen);
        if (seen.frames > 0) done_s = seen.last_s;
      }
    }
    return options && frames > 0 ? { options, frames, done_s, ended } : undefined;
  }

  /** Its entries, the first one too, up to what is torn; what is written next goes behind those that were handed out. */
  *entries(): Generator<Uint8Array<ArrayBuffer>> {
    const { wasm, handle } = this;
    if (!handle) return;
    const head = new Uint8Array(wasm.journal_head_bytes());
    this.end = 0;
    while (handle.read(head, { at: this.end }) === head.length) {
      const bytes = wasm.journal_entry_bytes(head);
      if (bytes === undefined) return;
      const entry = new Uint8Array(head.length + bytes);
      if (handle.read(entry, { at: this.end }) < entry.length) return;
      yield entry;
      this.end += entry.length;
    }
  }

  /** Drops what is there and begins with an entry. */
  async begin(first: Uint8Array): Promise<void> {
    this.end = 0;
    this.handle ??= await opened(await (await navigator.storage.getDirectory()).getFileHandle(this.id, { create: true }));
    this.handle.truncate(0);
    this.write(first);
  }

  /** Adds an entry. An error where there is no room. */
  write(entry: Uint8Array): void {
    if (!this.handle) return;
    if (this.handle.getSize() > this.end) this.handle.truncate(this.end);
    // On a full disk it writes less, without an error.
    if (this.handle.write(entry, { at: this.end }) < entry.length) throw new Error('there is no more room');
    this.end += entry.length;
    this.handle.flush();
  }

  /** Leaves it as it is, for another time; it is not used any more. */
  leave(): void {
    this.handle?.close();
    this.release();
  }

  /** Removes it; it is not used any more. */
  async remove(): Promise<void> {
    this.handle?.close();
    await navigator.storage.getDirectory().then((root) => root.removeEntry(this.id)).catch(() => undefined);
    this.release();
  }
}

async function opened(file: FileSystemFileHandle): Promise<SyncFile> {
  return (file as FileSystemFileHandle & { createSyncAccessHandle(): Promise<SyncFile> }).createSyncAccessHandle();
}

/** Holds a name until the returned function is called, or the worker ends; nothing where another tab goes on holding it. */
async function lock(name: string): Promise<(() => void) | undefined> {
  return new Promise((resolve) => {
    // A worker that was just ended may hold it for a moment.
    const signal = AbortSignal.timeout(LOCK_MS);
    const held = navigator.locks.request(name, { signal }, () => new Promise<void>((release) => resolve(release)));
    held.catch(() => resolve(undefined));
  });
}
