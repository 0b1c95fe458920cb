/** The video as a strip: scenes as blocks, transitions hatched, candidates and kept frames as marks. */

import type { Manifest, Scene } from '../manifest';
import { T, timeText } from '../text';
import { h, place } from './dom';

export class Timeline {
  readonly element: HTMLElement;
  private readonly blocks = h('div', { class: 'blocks' });
  private readonly marks = h('div', { class: 'marks', 'aria-hidden': 'true' });
  private readonly done = h('div', { class: 'done', 'aria-hidden': 'true' });
  private readonly end = h('span', {});
  private duration_s = 1;

  constructor(private readonly onScene: (scene: number) => void) {
    const strip = h('div', { class: 'timeline', role: 'group', 'aria-label': T.timeline.label }, this.blocks, this.done, this.marks);
    const scale = h('div', { class: 'scale', 'aria-hidden': 'true' }, h('span', {}, timeText(0)), h('span', { class: 'legend' }, T.timeline.legend), this.end);
    this.element = h('div', { class: 'timeline-box' }, strip, scale);
  }

  /** Begins a video that is being scanned. */
  begin(duration_s: number): void {
    this.duration_s = Math.max(duration_s, 1e-6);
    this.end.textContent = timeText(duration_s);
    this.blocks.replaceChildren();
    this.marks.replaceChildren();
    this.progress(0);
  }

  /** How much has been looked at. */
  progress(share: number): void {
    place(this.done, share, 1 - share);
  }

  /** A candidate that was found. */
  candidate(time_s: number, hasFace: boolean): void {
    const mark = h('span', { class: hasFace ? 'mark found face' : 'mark found' });
    place(mark, time_s / this.duration_s);
    this.marks.append(mark);
  }

  /** Scenes found so far. */
  scenes(starts_s: number[]): void {
    const starts = [0, ...starts_s];
    // Only those that are new; what is there stays.
    for (let i = Math.max(0, this.blocks.childElementCount - 1); i < starts.length; i++) {
      const start = starts[i] ?? 0;
      const end = starts[i + 1] ?? this.duration_s;
      const block = (this.blocks.children[i] as HTMLElement | undefined) ?? h('span', { class: `segment ${i % 2 ? 'odd' : 'even'}` });
      place(block, start / this.duration_s, (end - start) / this.duration_s);
      if (!block.isConnected) this.blocks.append(block);
    }
  }

  /** The result. */
  show(manifest: Manifest): void {
    this.begin(manifest.video.duration_s);
    this.progress(1);
    const inside = new Map<number, number>();
    for (const frame of manifest.frames) inside.set(frame.scene, (inside.get(frame.scene) ?? 0) + 1);
    this.blocks.replaceChildren(...manifest.scenes.map((scene) => this.block(scene, inside.get(scene.index) ?? 0)));
    const starts = manifest.scenes.flatMap((scene) => this.transition(scene, manifest));
    this.marks.replaceChildren(
      ...starts,
      ...manifest.frames.map((frame) => {
        const mark = h('span', { class: frame.faces.length > 0 ? 'mark face' : 'mark' });
        place(mark, frame.time_s / this.duration_s);
        return mark;
      }),
    );
  }

  private block(scene: Scene, frames: number): HTMLElement {
    const label = T.timeline.scene(scene.index + 1, scene.start_s, scene.end_s, frames);
    const segment = h('button', {
      type: 'button',
      class: `segment ${scene.index % 2 ? 'odd' : 'even'}`,
      title: label,
      'aria-label': label,
      disabled: frames === 0,
      onclick: () => this.onScene(scene.index),
    });
    place(segment, scene.start_s / this.duration_s, (scene.end_s - scene.start_s) / this.duration_s);
    return segment;
  }

  /** The mixed frames before a scene that begins gradually. */
  private transition({ transition_start_frame, transition_end_frame, start_s }: Scene, { video }: Manifest): HTMLElement[] {
    if (transition_start_frame === undefined || transition_end_frame === undefined) return [];
    const length_s = ((transition_end_frame - transition_start_frame) * this.duration_s) / Math.max(1, video.frames_decoded);
    const hatch = h('span', { class: 'transition' });
    place(hatch, (start_s - length_s) / this.duration_s, length_s / this.duration_s);
    return [hatch];
  }
}
