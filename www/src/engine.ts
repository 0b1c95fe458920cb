/** The page's side of the workers: starts them, passes messages, replaces them when they hang. */

import type { Options } from './manifest';
import type { Assets, FromJob, ToAnalysis, ToJob } from './protocol';
import AnalysisWorker from './workers/analysis.worker?worker&inline';
import JobWorker from './workers/job.worker?worker&inline';

/** A job that does not answer a cancel request within this time is ended by force. */
const CANCEL_MS = 3000;

export const MAX_WORKERS = 4;

export class Engine {
  private workers: Worker[] = [];
  private job!: Worker;
  private cancelTimer: ReturnType<typeof setTimeout> | undefined;
  private file: File | undefined;

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

  select(options: Options): void {
    this.send({ type: 'select', options });
  }

  export(options: Options): void {
    this.send({ type: 'export', options });
  }

  /** Ends what is under way; `cancelled` follows. */
  cancel(): void {
    this.send({ type: 'cancel' });
    this.cancelTimer ??= setTimeout(() => {
      this.restart();
      this.onMessage({ type: 'cancelled' });
    }, CANCEL_MS);
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
        failure: {
          title: `A background worker stopped: ${event.message || 'no reason given'}.`,
          advice: 'Close other tabs to free memory, or try with fewer workers. The file is still chosen: press Start to try again.',
        },
      });
    };
    this.workers.push(worker);
    return worker;
  }

  private restart(): void {
    this.clearCancelTimer();
    for (const worker of this.workers.splice(0)) worker.terminate();
    this.start();
    if (this.file) this.send({ type: 'open', file: this.file });
  }

  private clearCancelTimer(): void {
    clearTimeout(this.cancelTimer);
    this.cancelTimer = undefined;
  }
}
