/** The analysis workers as the job worker sees them: candidates in, faces out, never more than fit. */

import type { AnalysisReply, AnalysisRequest } from '../protocol';

/** Candidates that may wait for each worker, besides the one it works on. */
const WAITING_PER_WORKER = 1;

export type Analysed = Extract<AnalysisReply, { faces: unknown }>;

export class Pool {
  private readonly pending = new Map<number, number>();
  private readonly load: number[];
  private readonly memory: number[];
  private scan = 0;
  private failure: Error | undefined;
  private wake: (() => void)[] = [];

  constructor(
    private readonly ports: MessagePort[],
    private readonly onResult: (result: Analysed) => void,
  ) {
    this.load = ports.map(() => 0);
    this.memory = ports.map(() => 0);
    ports.forEach((port, worker) => {
      port.onmessage = ({ data }: MessageEvent<AnalysisReply>) => this.receive(worker, data);
    });
  }

  /** Bytes of wasm memory of all workers together. */
  get wasmMemoryBytes(): number {
    return this.memory.reduce((sum, bytes) => sum + bytes, 0);
  }

  /** Hands a candidate to the least busy of the first `workers`; waits while all are full. */
  async submit(candidate: Omit<AnalysisRequest, 'scan'>, workers: number): Promise<void> {
    for (;;) {
      this.throwFailure();
      const usable = this.load.slice(0, Math.max(1, workers));
      const least = Math.min(...usable);
      if (least <= WAITING_PER_WORKER) {
        const worker = usable.indexOf(least);
        this.load[worker] = least + 1;
        this.pending.set(candidate.index, worker);
        const request: AnalysisRequest = { ...candidate, scan: this.scan };
        this.ports[worker]?.postMessage(request, [request.pixels.buffer]);
        return;
      }
      await this.change();
    }
  }

  /** Waits until nothing is under way. */
  async idle(): Promise<void> {
    while (this.pending.size > 0 && !this.failure) await this.change();
    this.throwFailure();
  }

  /** Begins another scan; results of the last one that are still on their way are dropped. */
  reset(): void {
    this.scan += 1;
    this.failure = undefined;
    this.pending.clear();
    this.load.fill(0);
  }

  private receive(worker: number, reply: AnalysisReply): void {
    if (reply.scan !== this.scan) return;
    this.pending.delete(reply.index);
    this.load[worker] = Math.max(0, (this.load[worker] ?? 0) - 1);
    if ('error' in reply) {
      this.failure = new Error(`face analysis of frame ${reply.index}: ${reply.error}`);
    } else {
      this.memory[worker] = reply.wasm_memory_bytes;
      this.onResult(reply);
    }
    for (const wake of this.wake.splice(0)) wake();
  }

  private change(): Promise<void> {
    return new Promise((resolve) => this.wake.push(resolve));
  }

  private throwFailure(): void {
    if (this.failure) throw this.failure;
  }
}
