/** A job under way: how far it is, how long it will take, and what it has found. */

import type { Progress } from 'framesift';
import { T, number } from '../text';
import { h } from './dom';

/** Pictures shown while the job runs. */
const STRIP_LENGTH = 12;

export interface RunHost {
  pause(paused: boolean): void;
  cancel(): void;
}

export class RunPanel {
  readonly element: HTMLElement;
  private readonly bar = h('progress', { id: 'progress', 'aria-label': T.running.progress, max: 1, value: 0 });
  private readonly text = h('p', { class: 'progress-text' });
  private readonly strip = h('div', { class: 'strip', 'aria-hidden': 'true' });
  private readonly pauseButton: HTMLButtonElement;
  private readonly title = h('h2', { id: 'running-title', tabindex: -1 }, T.running.title);
  private paused = false;
  /** Time that the job has worked, without pauses. */
  private started_ms = 0;
  private paused_ms = 0;
  private last: Progress | undefined;

  constructor(
    private readonly host: RunHost,
    private readonly status: HTMLElement,
    timeline: HTMLElement,
  ) {
    this.pauseButton = h('button', { type: 'button', class: 'secondary', id: 'pause', onclick: () => this.togglePause() }, T.running.pause);
    this.element = h(
      'section',
      { class: 'panel', 'aria-labelledby': 'running-title' },
      this.title,
      this.bar,
      this.text,
      timeline,
      this.strip,
      h(
        'div',
        { class: 'actions' },
        this.pauseButton,
        h('button', { type: 'button', class: 'secondary', id: 'cancel', onclick: () => host.cancel() }, T.running.cancel),
      ),
    );
  }

  begin(stage: Progress['stage']): void {
    this.strip.replaceChildren();
    this.strip.hidden = stage === 'export';
    this.pauseButton.hidden = stage === 'export';
    this.paused = false;
    this.pauseButton.textContent = T.running.pause;
    this.started_ms = performance.now();
    this.title.focus({ preventScroll: true });
    this.show({ stage, done: 0, total: 0, candidates: 0, analysed: 0 });
  }

  /** Share of the video that has been looked at. */
  get share(): number {
    return this.last?.stage === 'scan' && this.last.total > 0 ? this.last.done / this.last.total : this.last?.stage === 'count' ? 0 : 1;
  }

  show(progress: Progress): void {
    if (this.last?.stage !== progress.stage && progress.stage === 'scan') this.started_ms = performance.now();
    this.last = progress;
    const { stage, done, total, candidates } = progress;
    const elapsed_s = (performance.now() - this.started_ms) / 1000;
    const share = total > 0 ? done / total : 0;
    if (total > 0) this.bar.value = share;
    else this.bar.removeAttribute('value');
    const rate = done / Math.max(elapsed_s, 0.1);
    const name = this.paused ? T.running.paused : T.running.stages[stage];
    const parts = [name];
    if (total > 0) parts.push(T.running.of(done, total, stage === 'faces'));
    if (stage === 'scan' && done > 0) parts.push(T.running.rate(rate), T.running.candidates(candidates));
    const steady = stage === 'scan' || stage === 'export';
    if (total > 0 && done > 0 && done < total && elapsed_s > 1 && steady && !this.paused) parts.push(T.running.left((total - done) / rate));
    this.text.textContent = parts.join(' · ');
    // Told aloud ten times, not a thousand.
    const tenth = Math.floor(share * 10);
    if (this.status.dataset['tenth'] !== `${stage}${tenth}`) {
      this.status.dataset['tenth'] = `${stage}${tenth}`;
      this.status.textContent = T.running.said(T.running.stages[stage], tenth * 10);
    }
  }

  /**
   * The latest candidates: the user sees that it works, and on
   * what. The same few canvases are drawn over and over: Chromium keeps the pixels
   * of every image element it has ever shown.
   */
  async candidate(thumbnail: Blob): Promise<void> {
    const picture = await createImageBitmap(thumbnail).catch(() => null);
    if (!picture) return;
    const free = this.strip.childElementCount < STRIP_LENGTH ? document.createElement('canvas') : this.strip.lastElementChild;
    if (!(free instanceof HTMLCanvasElement)) return;
    // Another size takes other memory, which is given back late, as a picture is that is not closed.
    if (free.width !== picture.width) free.width = picture.width;
    if (free.height !== picture.height) free.height = picture.height;
    free.getContext('2d')?.drawImage(picture, 0, 0);
    picture.close();
    this.strip.prepend(free);
  }

  private togglePause(): void {
    this.paused = !this.paused;
    const now = performance.now();
    if (this.paused) this.paused_ms = now;
    else this.started_ms += now - this.paused_ms;
    this.pauseButton.textContent = this.paused ? T.running.resume : T.running.pause;
    this.host.pause(this.paused);
    if (this.last) this.show(this.last);
    this.status.textContent = this.paused ? T.running.paused : `${T.running.stages.scan}: ${number(Math.round(this.share * 100))} %`;
  }
}
