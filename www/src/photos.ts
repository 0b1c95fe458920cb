/** Photos of people: of those who are looked for, and of those who are left out. */

import type { Options } from 'framesift';

export type Who = 'reference' | 'avoid';
type Photos = Readonly<Record<Who, File[]>>;

const NONE: Photos = { reference: [], avoid: [] };

export class AskedPhotos {
  private now = NONE;
  /** What the shown result was chosen by. */
  private shown = NONE;
  /** What the user has chosen last, which holds for all videos of a row, and what that was before. */
  private all = NONE;
  private before = NONE;

  choose(who: Who, files: File[]): void {
    this.now = { ...this.now, [who]: files };
    this.before = this.all;
    this.all = { ...this.all, [who]: files };
  }

  /** A result has come. */
  confirm(options: Options): void {
    const { reference = [], avoid = [] } = options;
    if (String([reference, avoid]) === String([this.names('reference'), this.names('avoid')])) this.shown = this.now;
  }

  /** What was chosen last could not be used. */
  takeBack(): void {
    if (this.now !== this.shown) this.all = this.before;
    this.now = this.shown;
  }

  /** Another scan: what the user has chosen stays for the whole row. */
  clear(): void {
    this.now = this.shown = NONE;
  }

  names(who: Who): string[] {
    return this.now[who].map(({ name }) => name);
  }

  /** Those that hold for all videos. */
  ofAll(): [Who, File[]][] {
    return (['reference', 'avoid'] as const).map((who): [Who, File[]] => [who, this.all[who]]).filter(([, files]) => files.length > 0);
  }

  options(): Pick<Options, Who> {
    const [reference, avoid] = [this.names('reference'), this.names('avoid')];
    return { ...(reference.length > 0 && { reference }), ...(avoid.length > 0 && { avoid }) };
  }
}
