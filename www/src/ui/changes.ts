/** What the last change of an option has left out, and why: beside the sliders that did it. */

import type { Manifest, Reason, Rejected } from 'framesift';
import { T, timeText } from '../text';
import { BlobUrls, h } from './dom';

/** So many pictures for each reason. */
const SHOWN = 6;
/** Room below what the user is working with. */
const MARGIN_PX = 16;

export interface ChangesHost {
  thumbnail(index: number): Blob | undefined;
  open(index: number): void;
}

export class Changes {
  readonly element: HTMLElement;
  private readonly urls = new BlobUrls();
  private readonly title = h('h3', { id: 'changes-title' });
  private readonly groups = h('div', {});

  constructor(private readonly host: ChangesHost) {
    const close = h('button', { type: 'button', class: 'link', id: 'changes-close', onclick: () => this.close() }, T.changes.close);
    this.element = h('section', { class: 'changes', 'aria-labelledby': 'changes-title', hidden: true }, h('div', { class: 'changes-head' }, this.title, close), this.groups);
  }

  clear(): void {
    this.element.hidden = true;
    this.groups.replaceChildren();
    this.urls.clear();
  }

  /** Shows the pictures that came after their cards. */
  fillPictures(): void {
    for (const image of this.groups.querySelectorAll<HTMLImageElement>('img:not([src])')) {
      const blob = this.host.thumbnail(Number(image.dataset['index']));
      if (blob) image.src = this.urls.of(blob);
    }
  }

  /** The focus goes back to the options. */
  private close(): void {
    this.element.hidden = true;
    document.getElementById('settings-title')?.focus({ preventScroll: true });
  }

  show(before: Manifest, after: Manifest): void {
    const leftOut = new Map(after.rejected.map((frame) => [frame.index, frame]));
    const kept = new Set(before.frames.map(({ index }) => index));
    // What the user has left out is no surprise.
    const gone = before.frames.flatMap(({ index }) => leftOut.get(index) ?? []).filter(({ reason }) => reason !== 'by_hand');
    const added = after.frames.filter(({ index }) => !kept.has(index)).length;
    const reasons = new Map<Reason, Rejected[]>();
    for (const frame of gone) {
      const same = reasons.get(frame.reason);
      if (same) same.push(frame);
      else reasons.set(frame.reason, [frame]);
    }
    this.title.textContent = T.changes.title(gone.length, added);
    this.groups.replaceChildren(...[...reasons].flatMap(([reason, frames]) => this.group(reason, frames)));
    this.element.hidden = gone.length + added === 0;
    this.uncover(document.activeElement);
  }

  /** What the user is working with stays in sight. */
  private uncover(active: Element | null): void {
    if (this.element.hidden || !active || this.element.contains(active) || !this.element.parentElement?.contains(active)) return;
    const hidden_px = active.getBoundingClientRect().bottom + MARGIN_PX - this.element.getBoundingClientRect().top;
    if (hidden_px > 0) window.scrollBy(0, hidden_px);
  }

  private group(reason: Reason, frames: Rejected[]): HTMLElement[] {
    const card = ({ index, time_s }: Rejected) => {
      const blob = this.host.thumbnail(index);
      const image = h('img', { ...(blob && { src: this.urls.of(blob) }), alt: '', loading: 'lazy', 'data-index': index });
      return h('li', {}, h('button', { type: 'button', 'aria-label': T.changes.open(time_s), title: timeText(time_s, 2), onclick: () => this.host.open(index) }, image));
    };
    const more = frames.length > SHOWN && h('li', { class: 'hint' }, T.changes.more(frames.length - SHOWN));
    return [h('p', { class: 'hint' }, T.changes.reason(frames.length, T.gallery.reasons[reason])), h('ul', {}, ...frames.slice(0, SHOWN).map(card), more)];
  }
}
