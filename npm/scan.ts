/** A scan as an async iterable of what happens, with the choice and the files afterwards. */

import { load } from './assets';
import { Engine } from './engine';
import { DEFAULT_OPTIONS, type Manifest, type Options } from './manifest';
import type { Assets, Candidate, FromJob, Progress, VideoFacts } from './protocol';

export interface ScanSettings {
  /** What `load` gives; unless given it is fetched with the first scan, and kept for the next ones. */
  assets?: Assets | Promise<Assets>;
  /** Ends the scan, and whatever of it is under way. */
  signal?: AbortSignal;
}

/** What happens during a scan, in this order, progress, scenes and candidates as they come. */
export type ScanEvent =
  | { type: 'opened'; facts: VideoFacts }
  | { type: 'progress'; progress: Progress }
  /** Where scenes begin, as far as the scan has come, in seconds. */
  | { type: 'scenes'; starts_s: number[] }
  /** A frame that may be kept, with small pictures. */
  | { type: 'candidate'; candidate: Candidate }
  /** All frames were looked at. It comes last. */
  | { type: 'result'; manifest: Manifest };

export interface ExportSettings {
  /** Where a folder with the files is made (File System Access); unless given they come as a ZIP. */
  folder?: FileSystemDirectoryHandle;
  onProgress?: (progress: Progress) => void;
}

export interface Exported {
  /** The files as a ZIP, which lies on disk as long as the scan is open; missing where there is a folder. */
  zip?: Blob;
  /** Name of the folder that was made. */
  folder?: string;
  /** As it was written: without frames that could not be decoded again. */
  manifest: Manifest;
}

/** What went wrong, and what can be done about it, in words for whoever chose the video. */
export class ScanError extends Error {
  override readonly name = 'ScanError';

  constructor(
    title: string,
    readonly advice: string,
  ) {
    super(title);
  }
}

/**
 * Scans a video. It begins at once, and goes on whether its events are read or not; leaving the loop over them ends it.
 * What is missing in `options` is as in `DEFAULT_OPTIONS`.
 */
export function scan(file: File, options: Partial<Options> = {}, settings: ScanSettings = {}): Scan {
  return new Scan(file, { ...DEFAULT_OPTIONS, ...options }, settings);
}

/** Fetched once for all scans, and anew where that failed. */
let shared: Promise<Assets> | undefined;

function sharedAssets(): Promise<Assets> {
  shared ??= load().catch((error: unknown) => {
    shared = undefined;
    throw error;
  });
  return shared;
}

type Answer<T extends FromJob['type']> = Extract<FromJob, { type: T }>;

/** A scan under way or done; made by `scan`. It holds workers and memory until it is closed. */
export class Scan implements AsyncIterable<ScanEvent> {
  /** The result, when all frames have been looked at. Rejects with what ended the scan before. */
  readonly result: Promise<Manifest>;
  private engine: Engine | undefined;
  private events: ScanEvent[] = [];
  private scanned = false;
  /** Why there is nothing more to be had. */
  private ended: Error | undefined;
  /** Who waits for the next event. */
  private wake: (() => void) | undefined;
  /** The answer that is waited for. */
  private asked: { type: FromJob['type']; resolve: (answer: FromJob) => void; reject: (error: Error) => void } | undefined;
  private onProgress: ((progress: Progress) => void) | undefined;
  /** One request is made at a time. */
  private turn: Promise<unknown>;
  private readonly onAbort = () => this.end(this.abortError());

  /** Use `scan`. */
  constructor(
    file: File,
    private options: Options,
    private readonly settings: ScanSettings,
  ) {
    this.result = this.run(file);
    // It may be that only the events are looked at, or only the promise.
    this.result.catch(() => undefined);
    this.turn = this.result;
  }

  /** The events, once: each is given to one reader. */
  async *[Symbol.asyncIterator](): AsyncGenerator<ScanEvent, void, undefined> {
    try {
      for (;;) {
        const event = this.events.shift();
        if (event) {
          yield event;
          if (event.type === 'result') return;
        } else if (this.ended) {
          throw this.ended;
        } else {
          await new Promise<void>((resolve) => (this.wake = resolve));
        }
      }
    } finally {
      if (!this.scanned) this.close();
    }
  }

  /** Stops decoding for a while, or goes on. */
  pause(paused = true): void {
    this.engine?.pause(paused);
  }

  /** Chooses again, without decoding; what is missing in `options` is as it was. */
  select(options: Partial<Options> = {}): Promise<Manifest> {
    return this.inTurn(async () => {
      const next = { ...this.options, ...options };
      const { manifest } = await this.ask('selected', (engine) => engine.select(next));
      this.options = next;
      return manifest;
    });
  }

  /** A frame of the video at full quality, as JPEG, by its index. */
  frame(index: number): Promise<Blob> {
    return this.inTurn(async () => {
      const { frame } = await this.ask('frame', (engine) => engine.frame(index));
      if (!frame.picture) throw new ScanError(`Frame ${index} could not be decoded.`, 'Take one beside it.');
      return frame.picture;
    });
  }

  /** Writes the chosen frames at full quality, with manifest and tables, as the options say. */
  export({ folder, onProgress }: ExportSettings = {}): Promise<Exported> {
    return this.inTurn(async () => {
      this.onProgress = onProgress;
      try {
        const { zip, folder: name, manifest } = await this.ask('exported', (engine) => engine.export(this.options, folder));
        return { manifest, ...(zip && { zip }), ...(name !== undefined && { folder: name }) };
      } finally {
        this.onProgress = undefined;
      }
    });
  }

  /** Ends what is under way, and gives back workers and memory. A ZIP that was made can be read until then. */
  close(): void {
    this.end(new DOMException('The scan was closed.', 'AbortError'));
  }

  private async run(file: File): Promise<Manifest> {
    try {
      const { signal, assets = sharedAssets() } = this.settings;
      if (signal?.aborted) throw this.abortError();
      signal?.addEventListener('abort', this.onAbort);
      if (typeof VideoDecoder === 'undefined') {
        throw new ScanError('This browser cannot decode video for web pages (it lacks WebCodecs).', 'Use a current one. The page must be opened over https or from localhost.');
      }
      const loaded = await assets;
      if (this.ended) throw this.ended;
      this.engine = new Engine(loaded, (message) => this.receive(message));
      const { facts } = await this.ask('opened', (engine) => engine.open(file, false));
      this.tell({ type: 'opened', facts });
      const { manifest } = await this.ask('selected', (engine) => engine.scan(this.options, { resume: false, keep: false }));
      this.scanned = true;
      this.tell({ type: 'result', manifest });
      return manifest;
    } catch (error) {
      this.end(error instanceof Error ? error : new Error(String(error)));
      throw error;
    }
  }

  private receive(message: FromJob): void {
    switch (message.type) {
      case 'progress':
        if (this.scanned) this.onProgress?.(message.progress);
        else this.tell(message);
        break;
      case 'scenes':
      case 'candidate':
        if (!this.scanned) this.tell(message);
        break;
      case 'failed':
        this.asked?.reject(new ScanError(message.failure.title, message.failure.advice));
        break;
      case 'hung':
        this.end(new ScanError(message.failure.title, message.failure.advice));
        break;
      case 'restarted':
        // Its failure would follow.
        this.end(new ScanError('A background worker stopped, and the scan went with it.', 'Close other tabs to free memory, or try with fewer workers.'));
        break;
      default:
        if (message.type === this.asked?.type) this.asked.resolve(message);
    }
  }

  private inTurn<T>(run: () => Promise<T>): Promise<T> {
    const next = this.turn.then(run);
    // One that fails does not stop the others, unless there was no result to begin with.
    this.turn = Promise.allSettled([next]).then(() => this.result);
    this.turn.catch(() => undefined);
    return next;
  }

  private ask<T extends FromJob['type']>(type: T, send: (engine: Engine) => void): Promise<Answer<T>> {
    const { engine } = this;
    if (this.ended || !engine) return Promise.reject(this.ended ?? new Error('no workers'));
    const answer = new Promise<FromJob>((resolve, reject) => (this.asked = { type, resolve, reject }));
    send(engine);
    return answer.finally(() => (this.asked = undefined)) as Promise<Answer<T>>;
  }

  private tell(event: ScanEvent): void {
    this.events.push(event);
    this.wake?.();
  }

  private end(error: Error): void {
    if (this.ended) return;
    this.ended = error;
    this.settings.signal?.removeEventListener('abort', this.onAbort);
    this.engine?.close();
    this.engine = undefined;
    this.asked?.reject(error);
    this.wake?.();
  }

  private abortError(): Error {
    const reason: unknown = this.settings.signal?.reason;
    return reason instanceof Error ? reason : new DOMException('The scan was aborted.', 'AbortError');
  }
}
