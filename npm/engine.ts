/** The page's side of the workers: starts them, passes messages, replaces those that stop or hang. */

import type { Options } from './manifest';
import { SAY } from './messages';
import type { Assets, FromJob, ToAnalysis, ToJob } from './protocol';
import AnalysisWorker from './workers/analysis.worker?worker&inline';
import JobWorker from './workers/job.worker?worker&inline';

/** A job that does not answer a cancel request within this time is ended by force. */
const CANCEL_MS = 3000;
/** … and so is one that is closed and does not end by itself. */
const CLOSE_MS = 2000;

/**
 * A job that says nothing for so long hangs: as it opens a file it tells of what it reads, and as it scans
 * of every frame, or of every try to decode a damaged stretch, which may take long. It is counted in ticks of
 * a timer, not by the clock, which goes on while a machine or a tab sleeps.
 */
const MOST_SILENT_S = { open: 30, try: 30, scan: 120 };

/** Workers that fail as often as this before they are ready are not started again. */
const MOST_FAILED_STARTS = 2;
/** Analysis workers that are lost one after the other, none of them having finished a frame, before all is begun anew. */
const MOST_LOST = 4;

/** Most workers that look for faces. */
export const MAX_WORKERS = 4;

/**
 * Workers that scan one video at a time. Every method sends a request; requests are done in turn, and what comes of one is
 * told by a message (`FromJob`), or by `failed`.
 */
export class Engine {
  private job!: Worker;
  private analysis: Worker[] = [];
  private lost = 0;
  private cancelTimer: ReturnType<typeof setTimeout> | undefined;
  private choosing = 0;
  private requests = 0;
  /** Restarts since a job was ready: workers that fail as they start would be replaced for ever. */
  private failedStarts = 0;
  private nextChoice: Options | undefined;
  /** How long the job that opens or scans has been silent; nothing where it need not say anything. */
  private silent: { doing: keyof typeof MOST_SILENT_S; silent_s: number; paused?: boolean } | undefined;
  private readonly watch: ReturnType<typeof setInterval>;

  /** Starts the workers. `onMessage` hears all they say: see `FromJob`. */
  constructor(
    private readonly assets: Assets,
    private readonly onMessage: (message: FromJob) => void,
  ) {
    this.start();
    this.watch = setInterval(() => {
      if (!this.silent || this.silent.paused) return;
      this.silent.silent_s += 1;
      if (this.silent.silent_s > MOST_SILENT_S[this.silent.doing]) this.hung(this.silent.doing);
    }, 1000);
  }

  /** Opens a file; `opened` follows with the number that this returns. `keep`: the user may come back to the one before. */
  open(file: File, keep: boolean): number {
    this.nextChoice = undefined;
    this.requests += 1;
    this.silent = { doing: 'open', silent_s: 0 };
    this.send({ type: 'open', file, request: this.requests, keep });
    return this.requests;
  }

  /** Tries how fast the open file can be scanned; `estimated` follows. */
  estimate(options: Options): void {
    this.silent = { doing: 'try', silent_s: 0 };
    this.send({ type: 'estimate', options });
  }

  /** `resume`: goes on with what is kept of an earlier scan; `keep`: keeps this one. */
  scan(options: Options, { resume, keep }: { resume: boolean; keep: boolean }): void {
    this.nextChoice = undefined;
    this.silent = { doing: 'scan', silent_s: 0 };
    this.sendChoice({ type: 'scan', options, resume, keep });
  }

  /** Reads a `manifest.json`; `imported` follows. */
  import(file: File): void {
    this.send({ type: 'import', file });
  }

  /** Forgets a kept scan, or without `id` that of the open file. */
  forget(id?: string): void {
    this.send({ type: 'forget', ...(id !== undefined && { id }) });
  }

  /** Asks for small pictures of candidates; `candidate` follows for each, and `pictured`. */
  pictures(indices: number[]): void {
    this.send({ type: 'pictures', indices });
  }

  /** Chooses again. While a choice is under way only the latest wish waits. */
  select(options: Options): void {
    if (this.choosing > 0) this.nextChoice = options;
    else this.sendChoice({ type: 'select', options });
  }

  /** Makes a frame that is no candidate one, and chooses. */
  include(index: number, options: Options): void {
    this.nextChoice = undefined;
    this.sendChoice({ type: 'include', index, options });
  }

  /** Looks for who is on photos, and chooses; without photos for everyone. */
  lookFor(photos: Blob[], options: Options): void {
    this.nextChoice = undefined;
    this.sendChoice({ type: 'people', who: 'reference', photos, options });
  }

  /** Leaves out frames with those on photos, and chooses; without photos nobody is left out. */
  avoid(photos: Blob[], options: Options): void {
    this.nextChoice = undefined;
    this.sendChoice({ type: 'people', who: 'avoid', photos, options });
  }

  /** Asks for a frame at full quality; `frame` follows. */
  frame(index: number): void {
    this.send({ type: 'frame', index });
  }

  /** Into a folder, or without one as a ZIP. */
  export(options: Options, folder?: FileSystemDirectoryHandle): void {
    this.send({ type: 'export', options, ...(folder && { folder }) });
  }

  /** Stops a scan for a while, or goes on. */
  pause(paused: boolean): void {
    if (this.silent?.doing === 'scan') Object.assign(this.silent, { paused, silent_s: 0 });
    this.send({ type: 'pause', paused });
  }

  /** Ends what is under way; `cancelled` follows. `force`: by new workers if it does not end soon, which costs the scan. */
  cancel(force: boolean): void {
    this.send({ type: 'cancel' });
    if (force) this.cancelTimer ??= setTimeout(() => this.restart(), CANCEL_MS);
  }

  /** Ends the workers, and gives back their memory; the engine cannot be used afterwards. */
  close(): void {
    clearInterval(this.watch);
    const { job } = this;
    // It tidies up what it has stored.
    job.postMessage({ type: 'close' } satisfies ToJob);
    setTimeout(() => job.terminate(), CLOSE_MS);
    this.terminate({ butJob: true });
  }

  /** Ends what is under way at once, by new workers: file and scan are given up, and `stopped` follows. */
  stop(): void {
    this.renew();
    this.onMessage({ type: 'stopped' });
  }

  private sendChoice(message: ToJob): void {
    // What cannot be sent throws, and is not waited for.
    this.send(message);
    this.choosing += 1;
  }

  /** A choice has come, or failed. */
  private chosen(): void {
    this.choosing = Math.max(0, this.choosing - 1);
    const next = this.nextChoice;
    if (this.choosing > 0 || !next) return;
    this.nextChoice = undefined;
    this.select(next);
  }

  private send(message: ToJob): void {
    this.job.postMessage(message);
  }

  private start(): void {
    const count = Math.min(MAX_WORKERS, Math.max(1, navigator.hardwareConcurrency - 1));
    this.job = new JobWorker({ name: 'framesift job' });
    this.job.onerror = (event) => this.failed(event);
    this.lost = 0;
    const ports = Array.from({ length: count }, (_, worker) => this.startAnalysis(worker));
    this.job.onmessage = ({ data }: MessageEvent<FromJob>) => {
      if (this.silent) this.silent.silent_s = 0;
      if (data.type === 'candidate') this.lost = 0;
      if (data.type === 'stuck') {
        this.replace(data.worker);
        return;
      }
      if (['cancelled', 'selected', 'exported', 'failed'].includes(data.type)) this.clearCancelTimer();
      if (['opened', 'cancelled', 'selected', 'failed'].includes(data.type)) this.silent = undefined;
      if (data.type === 'estimated' && this.silent?.doing === 'try') this.silent = undefined;
      if (data.type === 'ready') this.failedStarts = 0;
      this.onMessage(data);
      if (data.type === 'selected' || data.type === 'failed' || data.type === 'cancelled') this.chosen();
    };
    this.job.postMessage({ type: 'init', assets: this.assets, pool: ports } satisfies ToJob, ports);
  }

  /** Starts one of the pool; returns the job's end of the line to it. */
  private startAnalysis(worker: number): MessagePort {
    const { port1, port2 } = new MessageChannel();
    const analysis = new AnalysisWorker({ name: `framesift analysis ${worker + 1}` });
    analysis.onerror = (event) => {
      this.lost += 1;
      if (this.lost > MOST_LOST) {
        this.failed(event);
        return;
      }
      event.preventDefault();
      this.replace(worker);
    };
    analysis.postMessage({ type: 'init', assets: this.assets, port: port1 } satisfies ToAnalysis, [port1]);
    this.analysis[worker] = analysis;
    return port2;
  }

  /** Another worker in the place of one that stopped or hangs; the job gives it the lost frames once more. */
  private replace(worker: number): void {
    const old = this.analysis[worker];
    if (old) old.onerror = null;
    old?.terminate();
    const port = this.startAnalysis(worker);
    this.job.postMessage({ type: 'replaced', worker, port } satisfies ToJob, [port]);
  }

  /** An error that a worker could not report itself: most likely it ran out of memory. */
  private failed(event: ErrorEvent): void {
    event.preventDefault();
    this.failedStarts += 1;
    if (this.failedStarts <= MOST_FAILED_STARTS) this.restart();
    this.onMessage({ type: 'failed', failure: SAY.workerStopped(event.message) });
  }

  /** A damaged file can keep a demuxer or a decoder going for ever: that file is given up. */
  private hung(doing: keyof typeof MOST_SILENT_S): void {
    this.renew();
    this.onMessage({ type: 'hung', failure: SAY.hung(MOST_SILENT_S[doing]) });
  }

  private restart(): void {
    this.renew();
    this.onMessage({ type: 'restarted' });
  }

  private renew(): void {
    this.terminate();
    this.start();
  }

  private terminate({ butJob = false } = {}): void {
    this.clearCancelTimer();
    this.silent = undefined;
    this.choosing = 0;
    this.nextChoice = undefined;
    for (const worker of [this.job, ...this.analysis.splice(0)]) {
      worker.onerror = null;
      worker.onmessage = null;
      if (!butJob || worker !== this.job) worker.terminate();
    }
  }

  private clearCancelTimer(): void {
    clearTimeout(this.cancelTimer);
    this.cancelTimer = undefined;
  }
}
