/** Several videos: what is to be done, what was done, and doing all of it at once. */

import { T, bytesText, count } from '../text';
import { h } from './dom';

export type ItemState = 'waiting' | 'open' | 'scanning' | 'scanned' | 'saving' | 'saved' | 'failed';

interface Item {
  file: File;
  state: ItemState;
  /** What there is to say about it: how many frames were kept, or why it failed. */
  text: string;
}

export interface QueueHost {
  open(file: File): void;
  /** Scans and saves all that is not saved: into a folder, or without one as ZIPs. */
  saveAll(folder?: FileSystemDirectoryHandle): void;
}

export class Queue {
  readonly element: HTMLElement;
  private items: Item[] = [];
  private busy = false;
  private readonly list = h('ol', { class: 'queue', 'aria-labelledby': 'queue-title' });
  private readonly title = h('h2', { id: 'queue-title' });
  private readonly actions: HTMLElement;

  constructor(private readonly host: QueueHost) {
    this.actions = h(
      'div',
      { class: 'actions' },
      h('button', { type: 'button', class: 'secondary', id: 'all-folder', hidden: !window.showDirectoryPicker, onclick: () => this.toFolder() }, T.queue.folder),
      h('button', { type: 'button', class: 'secondary', id: 'all-zip', onclick: () => host.saveAll() }, T.queue.zips),
    );
    this.element = h('section', { class: 'panel queue-panel', 'aria-labelledby': 'queue-title', hidden: true }, this.title, h('p', { class: 'hint' }, T.queue.hint), this.list, this.actions);
  }

  /** Puts files behind those that are there; those that are there already keep their place. */
  add(files: File[]): void {
    for (const file of files) if (!this.find(file)) this.items.push({ file, state: 'waiting', text: '' });
    this.show();
  }

  /** Whether there are several. */
  get isUsed(): boolean {
    return this.items.length > 1;
  }

  has(file: File): boolean {
    return this.find(file) !== undefined;
  }

  mark(file: File | undefined, state: ItemState, text = ''): void {
    const item = file && this.find(file);
    if (!item) return;
    // Only one is open; the others are as they were left.
    for (const other of this.items) if (other !== item && (other.state === 'open' || other.state === 'scanning')) other.state = 'waiting';
    Object.assign(item, { state, text });
    this.show();
  }

  /** Whether it was scanned and not saved yet. */
  isToSave(file: File): boolean {
    return this.find(file)?.state === 'scanned';
  }

  /** The first one that is neither saved nor has failed. */
  next(): File | undefined {
    return this.items.find(({ state }) => state !== 'saved' && state !== 'failed')?.file;
  }

  /** How many could be saved, and how many not. */
  outcome(): { saved: number; failed: number } {
    const number = (wanted: ItemState) => this.items.filter(({ state }) => state === wanted).length;
    return { saved: number('saved'), failed: number('failed') };
  }

  /** While a job runs no other one can be begun. */
  setBusy(busy: boolean): void {
    if (busy === this.busy) return;
    this.busy = busy;
    this.show();
  }

  /** `a` and `b` are the same when they are the same file on disk; choosing it again makes another object. */
  private find(file: File): Item | undefined {
    return this.items.find(({ file: { name, size, lastModified } }) => name === file.name && size === file.size && lastModified === file.lastModified);
  }

  private show(): void {
    const total = this.items.reduce((sum, { file }) => sum + file.size, 0);
    this.element.hidden = !this.isUsed;
    this.title.textContent = T.queue.title(this.items.length, bytesText(total));
    this.list.replaceChildren(...this.items.map((item) => this.row(item)));
    for (const button of this.actions.querySelectorAll('button')) button.disabled = this.busy || !this.next();
  }

  private row({ file, state, text }: Item): HTMLElement {
    const open = h('button', { type: 'button', class: 'link', disabled: this.busy, onclick: () => this.host.open(file) }, file.name);
    return h('li', { 'data-item': state }, open, h('span', { class: 'state' }, text ? `${T.queue.states[state]}: ${text}` : T.queue.states[state]));
  }

  private async toFolder(): Promise<void> {
    try {
      const folder = await window.showDirectoryPicker?.({ mode: 'readwrite' });
      if (folder) this.host.saveAll(folder);
    } catch {
      // Closed without choosing.
    }
  }
}

/** What is said of a video that was scanned. */
export function keptText(frames: number, missing: number): string {
  return count(frames, 'frame') + (missing > 0 ? T.queue.missing(missing) : '');
}
