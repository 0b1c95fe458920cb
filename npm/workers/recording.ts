/** What is kept of the open file's scan, on this disk, as far as the browser, other tabs and room allow. */

import { SAY } from '../messages';
import type { FromJob, Kept } from '../protocol';
import { UserError } from './failure';
import { Journal, forgetScan } from './journal';
import type { Wasm } from './wasm';

export class Recording {
  private journal: Journal | undefined;
  /** Name of one for which there was no more room. */
  private full: string | undefined;

  constructor(
    private readonly wasm: Wasm,
    private readonly send: (message: FromJob) => void,
  ) {}

  /** Another file is open, or the same once more. `stay`: the user may come back to the one before. */
  async turnTo(file: File, stay: boolean): Promise<void> {
    const before = this.journal?.id ?? this.full;
    if (before !== undefined && !stay && before !== (await Journal.idOf(file))) await this.remove();
    this.journal?.leave();
    this.full = undefined;
    this.journal = await Journal.open(this.wasm, file);
  }

  /** For a scan: what is kept is not begun over without the user's knowing, where that has only come to light now. */
  async find(file: File, resume: boolean): Promise<void> {
    if (this.journal) return;
    this.journal = await Journal.open(this.wasm, file);
    if (!this.journal) this.send({ type: 'unrecorded', because: 'elsewhere' });
    else if (!resume && this.journal.kept()) throw new UserError(SAY.keptBefore());
  }

  kept(): Kept | undefined {
    return this.journal?.kept();
  }

  /** What tells the open file from others, where its scan is recorded. */
  get video(): string | undefined {
    return this.journal?.video;
  }

  entries(): Iterable<Uint8Array<ArrayBuffer>> {
    return this.journal?.entries() ?? [];
  }

  async begin(first: Uint8Array): Promise<void> {
    await this.journal?.begin(first).catch(() => this.stop());
  }

  /** Adds an entry. Without room the scan goes on. */
  add(entry: () => Uint8Array): void {
    if (!this.journal) return;
    try {
      this.journal.write(entry());
    } catch {
      this.stop();
    }
  }

  /** The scan of the open file is not to be found later. */
  async remove(): Promise<void> {
    const { journal, full } = this;
    this.journal = undefined;
    this.full = undefined;
    await journal?.remove();
    if (full) await forgetScan(full);
  }

  /** What is kept so far can still be gone on from. */
  private stop(): void {
    this.full = this.journal?.id;
    this.journal?.leave();
    this.journal = undefined;
    this.send({ type: 'unrecorded', because: 'full' });
  }
}
