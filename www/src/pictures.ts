/**
 * Small pictures of the candidates. Those of a scan that was gone on with come after its result, and those in
 * transitions, which were not looked at, when they are shown.
 */

import type { Candidate, KeptFace, Manifest, Portrait, Rejected } from 'framesift';

/** So many are asked for at a time, so that nothing waits for them. */
const AT_A_TIME = 16;

export class Pictures {
  private readonly thumbnails = new Map<number, Blob>();
  private readonly portraits = new Map<number, Portrait[]>();
  /** Candidates whose pictures were asked for, and whether an answer is to come. */
  private readonly asked = new Set<number>();
  private waiting = false;

  /** `ask` is for some more of them. */
  constructor(private readonly ask: (indices: number[]) => void) {}

  add({ index, thumbnail, faces }: Candidate): void {
    this.thumbnails.set(index, thumbnail);
    this.portraits.set(index, faces);
  }

  thumbnail(index: number): Blob | undefined {
    return this.thumbnails.get(index);
  }

  portrait(index: number, { bbox }: KeptFace): Blob | undefined {
    return this.portraits.get(index)?.find((one) => one.bbox.every((v, i) => Math.abs(v - (bbox[i] ?? 0)) < 0.01))?.picture;
  }

  /** Asks for some that are missing, kept frames first. `all`: also those that were not looked at. */
  fetch({ frames, rejected }: Manifest, all: boolean): void {
    if (this.waiting) return;
    const missing = [...frames, ...rejected.filter((one) => all || !wasPassedOver(one))].map(({ index }) => index).filter((index) => !this.thumbnails.has(index) && !this.asked.has(index));
    const next = missing.slice(0, AT_A_TIME);
    if (next.length === 0) return;
    this.waiting = true;
    for (const index of next) this.asked.add(index);
    this.ask(next);
  }

  /** What was asked for has come; where not `all`, it is asked for again. */
  answered(all: boolean): void {
    this.waiting = false;
    if (all) return;
    for (const index of this.asked) if (!this.thumbnails.has(index)) this.asked.delete(index);
  }

  clear(): void {
    this.thumbnails.clear();
    this.portraits.clear();
    this.asked.clear();
    this.waiting = false;
  }
}

/** Whether no faces were looked for in a candidate, as it lies in a transition. */
export function wasPassedOver({ reason, faces }: Rejected): boolean {
  return reason === 'transition' && !faces;
}
