/** The page's side of the workers: starts them, passes messages, replaces them when they hang. */

import type { Options } from './manifest';
import type { Assets, FromJob, ToAnalysis, ToJob } from './protocol';
import AnalysisWorker from './workers/analysis.worker?worker&inline';
import { T } from './text';
import JobWorker from './workers/job.worker?worker&inline';

/** A job that does not answer a cancel request within this time is ended by force. */
const CANCEL_MS = 3000;

export const MAX_WORKERS = 4;

export class Engine {
  private workers: Worker[] = [];
  private job!: Worker;
  private cancelTimer: ReturnType<typeof setTimeout> | undefined;
  private file: File | undefined;
  private choosing = false;
  private nextChoice: Options | undefined;

  constructor(
    private readonly assets: Assets,
    private readonly onMessage: (message: FromJob) => void,
  ) {
    this.start();
  }

  open(file: File): void {
    this.file = file;
    this.send({ type: 'open', file });
  }

  scan(options: Options): void {
    this.send({ type: 'scan', options });
  }

  /** Chooses again. While a choice is under way only the latest wish waits. */
  select(options: Options): void {
    if (this.choosing) this.nextChoice = options;
    else this.sendChoice({ type: 'select', options });
  }

  /** Makes a frame that is no candidate one, and chooses. */
  include(index: number, options: Options): void {
    this.sendChoice({ type: 'include', index, options });
  }

  /** Looks for who is on photos, and chooses. */
  lookFor(photos: File[], options: Options): void {
    this.sendChoice({ type: 'reference', photos, options });
  }

  /** Asks for a frame at full quality; `frame` follows. */
  frame(index: number): void {
    this.send({ type: 'frame', index });
  }

  /** Into a folder, or without one as a ZIP. */
  export(options: Options, folder?: FileSystemDirectoryHandle): void {
    this.send({ type: 'export', options, ...(folder && { folder }) });
  }

  pause(paused: boolean): void {
    this.send({ type: 'pause', paused });
  }

  /** Ends what is under way; `cancelled` follows. */
  cancel(): void {
    this.send({ type: 'cancel' });
    this.cancelTimer ??= setTimeout(() => {
      this.restart();
      this.onMessage({ type: 'cancelled' });
    }, CANCEL_MS);
  }

  private sendChoice(message: ToJob): void {
    this.choosing = true;
    this.send(message);
  }

  private chosen(): void {
    this.choosing = false;
    const next = this.nextChoice;
    this.nextChoice = undefined;
    if (next) this.select(next);
  }

  private send(message: ToJob): void {
    this.job.postMessage(message);
  }

  private start(): void {
    const count = Math.min(MAX_WORKERS, Math.max(1, navigator.hardwareConcurrency - 1));
    const ports: MessagePort[] = [];
    this.job = this.supervise(new JobWorker({ name: 'framesift job' }));
    for (let i = 0; i < count; i++) {
      const { port1, port2 } = new MessageChannel();
      const worker = this.supervise(new AnalysisWorker({ name: `framesift analysis ${i + 1}` }));
      worker.postMessage({ type: 'init', assets: this.assets, port: port1 } satisfies ToAnalysis, [port1]);
      ports.push(port2);
    }
    this.job.onmessage = ({ data }: MessageEvent<FromJob>) => {
      if (data.type !== 'progress' && data.type !== 'candidate') this.clearCancelTimer();
      this.onMessage(data);
      if (data.type === 'selected' || data.type === 'failed') this.chosen();
    };
    this.job.postMessage({ type: 'init', assets: this.assets, pool: ports } satisfies ToJob, ports);
  }

  /** An error that a worker could not report itself: most likely it ran out of memory. */
  private supervise(worker: Worker): Worker {
    worker.onerror = (event) => {
      event.preventDefault();
      this.restart();
      this.onMessage({
        type: 'failed',
        failure: T.failures.workerStopped(event.message),
      });
    };
    this.workers.push(worker);
    return worker;
  }

  private restart(): void {
    this.clearCancelTimer();
    this.choosing = false;
    this.nextChoice = undefined;
    for (const worker of this.workers.splice(0)) worker.terminate();
    this.start();
    if (this.file) this.send({ type: 'open', file: this.file });
  }

  private clearCancelTimer(): void {
    clearTimeout(this.cancelTimer);
    this.cancelTimer = undefined;
  }
}
