/** A scan as an async iterable of what happens, with the choice and the files afterwards. */

import { load } from './assets';
import { Engine } from './engine';
import { DEFAULT_OPTIONS, type Manifest, type Options } from './manifest';
import { SAY } from './messages';
import type { Assets, Candidate, Failure, FromJob, Progress, VideoFacts } from './protocol';
import { reason } from './workers/failure';

/**
 * What is missing, or `undefined`, is as in `DEFAULT_OPTIONS`. Who is looked for or left out by photos is said by
 * `Scan.lookFor` and `Scan.avoid`.
 */
export type ScanOptions = { [K in Exclude<keyof Options, 'reference' | 'avoid'>]?: Options[K] | undefined };

export interface ScanSettings {
  /** What `load` gives; unless given it is fetched with the first scan, and kept for the next ones. */
  assets?: Assets | Promise<Assets>;
  /** Ends the scan, and whatever of it is under way. */
  signal?: AbortSignal;
}

/** What happens during a scan, in this order, progress, scenes and candidates as they come. */
export type ScanEvent =
  | { type: 'opened'; facts: VideoFacts }
  /** How far it is; only the latest where they are not read as fast as they come. */
  | { type: 'progress'; progress: Progress }
  /** Where scenes begin, as far as the scan has come, in seconds; the latest, too. */
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
  /** The files as a ZIP, which lies on disk until the scan is closed or two more have been made; missing where there is a folder. */
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
    options?: ErrorOptions,
  ) {
    super(title, options);
  }
}

/** Scans a video. It begins at once, and goes on whether its events are read or not; leaving the loop over them ends it. */
export function scan(file: File, options: ScanOptions = {}, settings: ScanSettings = {}): Scan {
  return new Scan(file, completed(options, DEFAULT_OPTIONS), settings);
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
  /** The result, when all frames have been looked at, without identity vectors, which only files have. Rejects with what ended the scan before. */
  readonly result: Promise<Manifest>;
  private engine: Engine | undefined;
  private events: ScanEvent[] = [];
  private paused = false;
  private scanned = false;
  /** Whether someone has read the last event. */
  private told = false;
  /** Why there is nothing more to be had; `stopped` rejects with it. */
  private ended: Error | undefined;
  private stop!: (error: Error) => void;
  private readonly stopped = new Promise<never>((_, reject) => (this.stop = reject));
  /** Whether the workers went, the reason for which follows. */
  private lost = false;
  /** Those who wait for the next event. */
  private waiting: (() => void)[] = [];
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
    this.stopped.catch(() => undefined);
    this.result = this.run(file);
    // It may be that only the events are looked at, or only the promise.
    this.result.catch(() => undefined);
    this.turn = this.result;
  }

  /** The events, once: each is given to one reader. */
  async *[Symbol.asyncIterator](): AsyncGenerator<ScanEvent, void, undefined> {
    try {
      while (!this.told) {
        const event = this.events.shift();
        if (event) {
          this.told = event.type === 'result';
          yield event;
        } else if (this.ended) {
          throw this.ended;
        } else {
          await new Promise<void>((resolve) => this.waiting.push(resolve));
        }
      }
    } finally {
      this.woken();
      if (!this.told) this.close();
    }
  }

  /** Stops decoding for a while, or goes on. */
  pause(paused = true): void {
    this.paused = paused;
    if (!this.scanned) this.engine?.pause(paused);
  }

  /** Chooses again, without decoding; what is missing in `options` is as it was. */
  select(options: ScanOptions = {}): Promise<Manifest> {
    return this.choose((engine, next) => engine.select(next), options);
  }

  /** Keeps only frames with those on photos, of each the largest face; without photos everyone's. */
  lookFor(photos: Blob[]): Promise<Manifest> {
    return this.choose((engine, options) => engine.lookFor(photos, options));
  }

  /** Leaves out frames with those on photos, of each the largest face; without photos nobody is left out. */
  avoid(photos: Blob[]): Promise<Manifest> {
    return this.choose((engine, options) => engine.avoid(photos, options));
  }

  /** A frame of the video at full quality, as JPEG, by its index. */
  frame(index: number): Promise<Blob> {
    return this.inTurn(async () => {
      const { frame } = await this.ask('frame', (engine) => engine.frame(index));
      if (!frame.picture) throw errorOf(SAY.notDecodedAgain());
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

  /** Ends what is under way, and gives back workers, memory and the room that ZIPs take. */
  close(): void {
    this.end(new DOMException('The scan was closed.', 'AbortError'));
  }

  private async run(file: File): Promise<Manifest> {
    try {
      const { signal } = this.settings;
      if (signal?.aborted) throw this.abortError();
      signal?.addEventListener('abort', this.onAbort);
      if (typeof VideoDecoder === 'undefined') {
        throw errorOf(SAY.noWebCodecs());
      }
      const { assets = sharedAssets() } = this.settings;
      const loaded = Promise.resolve(assets).catch((cause: unknown) => {
        throw errorOf(SAY.notLoaded(reason(cause)), { cause });
      });
      const files = await Promise.race([this.stopped, loaded]);
      if (this.ended) throw this.ended;
      this.engine = new Engine(files, (message) => this.receive(message));
      const { facts } = await this.ask('opened', (engine) => engine.open(file, false));
      this.tell({ type: 'opened', facts });
      const { manifest } = await this.ask('selected', (engine) => {
        engine.scan(this.options, { resume: false, keep: false });
        if (this.paused) engine.pause(true);
      });
      this.scanned = true;
      this.tell({ type: 'result', manifest });
      return manifest;
    } catch (error) {
      this.end(error instanceof Error ? error : new Error(String(error)));
      throw this.ended ?? error;
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
      case 'restarted':
        this.lost = true;
        break;
      case 'failed':
        if (this.lost) this.end(errorOf(message.failure));
        else this.asked?.reject(errorOf(message.failure));
        break;
      case 'hung':
        this.end(errorOf(message.failure));
        break;
      default:
        if (message.type === this.asked?.type) this.asked.resolve(message);
    }
  }

  private choose(send: (engine: Engine, options: Options) => void, options: ScanOptions = {}): Promise<Manifest> {
    return this.inTurn(async () => {
      const next = completed(options, this.options);
      const { manifest } = await this.ask('selected', (engine) => send(engine, next));
      this.options = next;
      return manifest;
    });
  }

  private inTurn<T>(run: () => Promise<T>): Promise<T> {
    const next = this.turn.then(run);
    // One that fails does not stop the others, unless there was no result to begin with.
    this.turn = Promise.allSettled([next]).then(() => this.result);
    this.turn.catch(() => undefined);
    return next;
  }

  private async ask<T extends FromJob['type']>(type: T, send: (engine: Engine) => void): Promise<Answer<T>> {
    const { engine } = this;
    if (this.ended || !engine) throw this.ended ?? new Error('no workers');
    try {
      const answer = new Promise<FromJob>((resolve, reject) => {
        this.asked = { type, resolve, reject };
        send(engine);
      });
      return (await answer) as Answer<T>;
    } finally {
      this.asked = undefined;
    }
  }

  private tell(event: ScanEvent): void {
    if (event.type === 'progress' || event.type === 'scenes') this.events = this.events.filter(({ type }) => type !== event.type);
    this.events.push(event);
    this.woken();
  }

  private woken(): void {
    for (const wake of this.waiting.splice(0)) wake();
  }

  private end(error: Error): void {
    if (this.ended) return;
    this.ended = error;
    this.events = [];
    this.settings.signal?.removeEventListener('abort', this.onAbort);
    this.engine?.close();
    this.engine = undefined;
    this.asked?.reject(error);
    this.stop(error);
    this.woken();
  }

  private abortError(): Error {
    const reason: unknown = this.settings.signal?.reason;
    return reason instanceof Error ? reason : new DOMException('The scan was aborted.', 'AbortError');
  }
}

function errorOf({ title, advice }: Failure, options?: ErrorOptions): ScanError {
  return new ScanError(title, advice, options);
}

/** What is missing in options is taken from others; what is `undefined` is as in `DEFAULT_OPTIONS`. */
function completed(options: ScanOptions, others: Readonly<Options>): Options {
  const next: Record<string, unknown> = { ...others, ...options };
  for (const [name, value] of Object.entries(next)) {
    if (value !== undefined) continue;
    const usual = DEFAULT_OPTIONS[name as keyof Options];
    if (usual === undefined) delete next[name];
    else next[name] = usual;
  }
  return next as unknown as Options;
}
