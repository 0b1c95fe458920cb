/** How a scan begins: anew, or where an earlier one was; and the scans of earlier visits that are still kept. */

import type { Kept, KeptScan, Options } from 'framesift';
import { T } from '../text';
import { h } from './dom';

export interface StartHost {
  /** `goOn`: with what is kept of an earlier scan. */
  run(goOn: boolean): void;
  /** Forgets a kept scan, or without `id` that of the open file. */
  forget(id?: string): void;
}

/** What a scan depends on. */
type Asked = Pick<Options, 'budget' | 'similarity' | 'detector'>;

export class StartRow {
  readonly element: HTMLElement;
  private readonly keep = h('input', { type: 'checkbox', id: 'keep', checked: true });
  private readonly start: HTMLButtonElement;
  private readonly resume: HTMLButtonElement;
  private readonly forget: HTMLButtonElement;
  private readonly time = h('p', { class: 'hint', id: 'estimated-time', role: 'status' });
  private kept: Kept | undefined;

  constructor(host: StartHost) {
    this.start = h('button', { type: 'button', class: 'primary', id: 'start', onclick: () => host.run(false) }, T.start);
    this.resume = h('button', { type: 'button', class: 'primary', id: 'resume', hidden: true, onclick: () => host.run(true) });
    const forget = () => {
      host.forget();
      this.start.focus();
    };
    this.forget = h('button', { type: 'button', class: 'link', id: 'forget', hidden: true, onclick: forget }, T.kept.forget);
    this.element = h(
      'div',
      { class: 'start-row' },
      h('label', { class: 'inline', for: 'keep' }, this.keep, ` ${T.kept.keep}`),
      h('div', { class: 'actions' }, this.resume, this.start, this.forget),
      this.time,
    );
  }

  /** Whether the next scan is to be kept. */
  get keeps(): boolean {
    return this.keep.checked;
  }

  /** What the kept scan depended on; nothing where none is kept. */
  get asked(): Asked | undefined {
    if (!this.kept) return undefined;
    const { budget, similarity, detector } = this.kept.options;
    return { budget, similarity, detector };
  }

  /** Whether a scan is kept that depended on the same. */
  fits(now: Asked): boolean {
    const then = this.asked;
    if (!then) return false;
    const { name, threshold = then.detector.threshold } = now.detector;
    const sameDetector = then.detector.name === name && then.detector.threshold === threshold;
    return then.budget === now.budget && then.similarity === now.similarity && sameDetector;
  }

  /** What is kept of the open file's scan. */
  show(kept: Kept | undefined): void {
    this.kept = kept;
    this.time.textContent = '';
    this.resume.hidden = !kept;
    this.forget.hidden = !kept;
    this.resume.textContent = kept ? T.kept.resume(kept.done_s, kept.ended) : '';
    this.start.textContent = kept ? T.kept.again : T.start;
    this.start.className = kept ? 'secondary' : 'primary';
  }

  /** That an estimate has been asked for. */
  estimating(): void {
    this.time.textContent = T.estimating;
  }

  /** How long a scan takes; nothing where that is not known. */
  estimate(least_s?: number, most_s?: number): void {
    this.time.textContent = least_s === undefined || most_s === undefined ? '' : T.estimate(least_s, most_s);
  }

  focus(): void {
    (this.kept ? this.resume : this.start).focus();
  }
}

/** Scans of earlier visits that were not saved. `left`: where the focus goes when one is forgotten. */
export function keptScans(host: Pick<StartHost, 'forget'>, left: HTMLElement): { element: HTMLElement; show(scans: KeptScan[]): void } {
  const element = h('ul', { class: 'kept-scans', 'aria-label': T.kept.title, hidden: true });
  const show = (scans: KeptScan[]) => {
    const items = scans.map(({ id, name }) => {
      const item = h('li', {}, T.kept.scan(name), ' ');
      const forget = () => {
        host.forget(id);
        item.remove();
        element.hidden = element.childElementCount === 0;
        left.focus();
      };
      item.append(h('button', { type: 'button', class: 'link', 'aria-label': T.kept.forgetLabel(name), onclick: forget }, T.kept.forget));
      return item;
    });
    element.replaceChildren(...items);
    element.hidden = items.length === 0;
  };
  return { element, show };
}
