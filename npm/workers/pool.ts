/** The analysis workers as the job worker sees them: frames in, results out, never more than fit. */

import type { Stills } from '../manifest';
import { SAY } from '../messages';
import type { Analysis, PoolReply, PoolRequest } from '../protocol';

/** Frames that may wait for each worker, besides the one it works on. */
const WAITING_PER_WORKER = 1;

/** A worker that has work and says nothing for so many ticks hangs. (By the clock a machine that slept would look like it.) */
const MOST_SILENT_TICKS = 10;
const TICK_MS = 3000;

/** A frame in the decoder's own format, in a buffer from `Pool.buffer`. */
export interface Pixels {
  layout: unknown;
  pixels: Uint8Array<ArrayBuffer>;
}

/** What has been accepted; `result` follows. (A bare promise would be waited for.) */
export interface Accepted<T> {
  result: Promise<T>;
}

interface Pending {
  worker: number;
  settle: (reply: PoolReply) => void;
  fail: (error: Error) => void;
}

/** A `PoolRequest` before it has a number. */
type Task = { [K in PoolRequest['task']]: Omit<Extract<PoolRequest, { task: K }>, 'id'> }[PoolRequest['task']];

export class Pool {
  private readonly pending = new Map<number, Pending>();
  private readonly memory: number[];
  /** Ticks for which each worker has had work and not answered. */
  private readonly silent: number[];
  private spare: Uint8Array<ArrayBuffer>[] = [];
  private nextId = 0;
  private wake: (() => void)[] = [];

  constructor(
    private readonly ports: MessagePort[],
    onStuck: (worker: number) => void,
  ) {
    this.memory = ports.map(() => 0);
    this.silent = ports.map(() => 0);
    ports.forEach((_, worker) => this.listen(worker));
    setInterval(() => {
      ports.forEach((_, worker) => {
        const ticks = this.load(worker) > 0 ? (this.silent[worker] ?? 0) + 1 : 0;
        this.silent[worker] = ticks % MOST_SILENT_TICKS;
        if (ticks === MOST_SILENT_TICKS) onStuck(worker);
      });
    }, TICK_MS);
  }

  /** Goes on with another worker in a lost one's place. What that had been given fails. */
  replace(worker: number, port: MessagePort): void {
    this.ports[worker]?.close();
    this.ports[worker] = port;
    this.listen(worker);
    for (const [id, pending] of this.pending) {
      if (pending.worker !== worker) continue;
      this.pending.delete(id);
      pending.fail(new Error(SAY.workerLost));
    }
    this.woken();
  }

  /** Workers that there are, of so many. */
  size(workers: number): number {
    return Math.min(Math.max(1, workers), this.ports.length);
  }

  /** Frames that can be under way with so many workers. */
  capacity(workers: number): number {
    return this.size(workers) * (1 + WAITING_PER_WORKER);
  }

  /** Bytes of wasm memory of all workers together. */
  get wasmMemoryBytes(): number {
    return this.memory.reduce((sum, bytes) => sum + bytes, 0);
  }

  /** A buffer for a frame, one that has come back if there is any: frames are large, and garbage is collected late. */
  buffer(bytes: number): Uint8Array<ArrayBuffer> {
    this.spare = this.spare.filter((buffer) => buffer.byteLength === bytes);
    return this.spare.pop() ?? new Uint8Array(bytes);
  }

  /** Hands a candidate to the least busy of the first `workers`; waits while all are full. */
  async analyze(frame: Pixels, workers: number): Promise<Accepted<Analysis>> {
    return this.submit({ task: 'analyze', ...frame }, workers, (reply) => (reply.task === 'analyze' ? reply.result : undefined));
  }

  /** The same for a chosen frame and its faces: their files, the frame first. */
  async encode(frame: Pixels, stills: Stills, workers: number): Promise<Accepted<Uint8Array<ArrayBuffer>[]>> {
    const task: Task = { task: 'encode', stills, ...frame };
    return this.submit(task, workers, (reply) => (reply.task === 'encode' ? reply.result : undefined));
  }

  /** Thumbnail and portraits of a frame whose faces are known. */
  async picture(frame: Pixels, faces: Stills['faces'], workers: number): Promise<Accepted<Uint8Array<ArrayBuffer>[]>> {
    const task: Task = { task: 'picture', faces, ...frame };
    return this.submit(task, workers, (reply) => (reply.task === 'picture' ? reply.result : undefined));
  }

  /** Waits until nothing is under way. */
  async idle(): Promise<void> {
    while (this.pending.size > 0) await this.change();
  }

  /** Forgets what is under way: its results are dropped when they come. */
  reset(): void {
    this.pending.clear();
    this.spare = [];
  }

  private async submit<T>(
    task: Task,
    workers: number,
    read: (reply: Exclude<PoolReply, { error: string }>) => T | undefined,
  ): Promise<Accepted<T>> {
    for (;;) {
      const loads = this.ports.slice(0, Math.max(1, workers)).map((_, worker) => this.load(worker));
      const least = Math.min(...loads);
      if (least <= WAITING_PER_WORKER) {
        const worker = loads.indexOf(least);
        const id = this.nextId++;
        const result = new Promise<T>((resolve, reject) => {
          const settle = (reply: PoolReply) => {
            const value = 'error' in reply ? undefined : read(reply);
            if (value !== undefined) resolve(value);
            else reject(new Error('error' in reply ? reply.error : 'a worker answered another question'));
          };
          this.pending.set(id, { worker, settle, fail: reject });
        });
        this.ports[worker]?.postMessage({ ...task, id } satisfies PoolRequest, [task.pixels.buffer]);
        return { result };
      }
      await this.change();
    }
  }

  private load(worker: number): number {
    let load = 0;
    for (const pending of this.pending.values()) if (pending.worker === worker) load += 1;
    return load;
  }

  private listen(worker: number): void {
    const port = this.ports[worker];
    if (port) port.onmessage = ({ data }: MessageEvent<PoolReply>) => this.receive(worker, data);
  }

  private receive(worker: number, reply: PoolReply): void {
    this.memory[worker] = reply.wasm_memory_bytes;
    this.silent[worker] = 0;
    const pending = this.pending.get(reply.id);
    if (!pending) return;
    this.pending.delete(reply.id);
    this.spare.push(reply.pixels);
    pending.settle(reply);
    this.woken();
  }

  private woken(): void {
    for (const wake of this.wake.splice(0)) wake();
  }

  private change(): Promise<void> {
    return new Promise((resolve) => this.wake.push(resolve));
  }
}
