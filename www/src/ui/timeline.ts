/** The video as a strip: scenes as blocks, transitions hatched, candidates and kept frames as marks, faces as hills. */

import type { Manifest, Scene } from 'framesift';
import { T, timeText } from '../text';
import { Roving, h, place } from './dom';
import { wasPassedOver } from '../pictures';

/** The hills of faces have so many points. */
const POINTS = 200;
/** So many faces reach the top, unless there are more. */
const MANY_FACES = 2;

export class Timeline {
  readonly element: HTMLElement;
  private readonly blocks = h('div', { class: 'blocks' });
  private readonly faces = h('div', { class: 'faces', 'aria-hidden': 'true' });
  private readonly marks = h('div', { class: 'marks', 'aria-hidden': 'true' });
  private readonly done = h('div', { class: 'done', 'aria-hidden': 'true' });
  private readonly first = h('span', {});
  private readonly end = h('span', {});
  private readonly roving = new Roving(this.blocks, 'button:not(:disabled)');
  private start_s = 0;
  private duration_s = 1;

  constructor(private readonly onScene: (scene: number) => void) {
    const strip = h('div', { class: 'timeline', role: 'toolbar', 'aria-label': T.timeline.label }, this.blocks, this.faces, this.done, this.marks);
    const scale = h('div', { class: 'scale', 'aria-hidden': 'true' }, this.first, h('span', { class: 'legend' }, T.timeline.legend), this.end);
    this.element = h('div', { class: 'timeline-box' }, strip, scale);
    this.blocks.addEventListener('keydown', (event) => this.onKey(event));
  }

  /** Begins a video that is being scanned. */
  begin(start_s: number, duration_s: number): void {
    this.start_s = start_s;
    this.duration_s = Math.max(duration_s, 1e-6);
    this.first.textContent = timeText(start_s);
    this.end.textContent = timeText(start_s + duration_s);
    this.blocks.replaceChildren();
    this.marks.replaceChildren();
    this.faces.style.clipPath = 'inset(100%)';
    this.progress(0);
  }

  /** How much has been looked at. */
  progress(share: number): void {
    place(this.done, share, 1 - share);
  }

  /** A candidate that was found. */
  candidate(time_s: number, hasFace: boolean): void {
    const mark = h('span', { class: hasFace ? 'mark found face' : 'mark found' });
    place(mark, this.share(time_s));
    this.marks.append(mark);
  }

  /** Scenes found so far. */
  scenes(starts_s: number[]): void {
    const starts = [this.start_s, ...starts_s];
    // Only those that are new; what is there stays.
    for (let i = Math.max(0, this.blocks.childElementCount - 1); i < starts.length; i++) {
      const start = starts[i] ?? this.start_s;
      const end = starts[i + 1] ?? this.start_s + this.duration_s;
      const block = (this.blocks.children[i] as HTMLElement | undefined) ?? h('span', { class: `segment ${i % 2 ? 'odd' : 'even'}` });
      place(block, this.share(start), (end - start) / this.duration_s);
      if (!block.isConnected) this.blocks.append(block);
    }
  }

  /** The result. */
  show(manifest: Manifest): void {
    this.begin(manifest.scenes[0]?.start_s ?? 0, manifest.video.duration_s);
    this.progress(1);
    const inside = new Map<number, number>();
    for (const frame of manifest.frames) inside.set(frame.scene, (inside.get(frame.scene) ?? 0) + 1);
    this.blocks.replaceChildren(...manifest.scenes.map((scene) => this.block(scene, inside.get(scene.index) ?? 0)));
    this.roving.update();
    this.faces.style.clipPath = this.hills(manifest);
    const starts = manifest.scenes.flatMap((scene) => this.transition(scene, manifest));
    this.marks.replaceChildren(
      ...starts,
      ...manifest.frames.map((frame) => {
        const mark = h('span', { class: frame.faces.length > 0 ? 'mark face' : 'mark' });
        place(mark, this.share(frame.time_s));
        return mark;
      }),
    );
  }

  /** How many faces there are over time: at each point as many as the nearest candidate of its scene shows. */
  private hills({ scenes, frames, rejected }: Manifest): string {
    const sceneAt = (time_s: number) => scenes.findLast(({ start_s }) => start_s <= time_s)?.index ?? 0;
    const candidates = [...frames, ...rejected.filter((one) => !wasPassedOver(one))]
      .map(({ time_s, faces }) => ({ time_s, faces: Array.isArray(faces) ? faces.length : (faces ?? 0), scene: sceneAt(time_s) }))
      .sort((a, b) => a.time_s - b.time_s);
    let next = 0;
    const faces = Array.from({ length: POINTS }, (_, at) => {
      const time_s = this.start_s + ((at + 0.5) / POINTS) * this.duration_s;
      while (next < candidates.length && (candidates[next]?.time_s ?? 0) < time_s) next += 1;
      const scene = sceneAt(time_s);
      const beside = candidates.slice(Math.max(0, next - 1), next + 1).filter((one) => one.scene === scene);
      const nearest = beside.sort((a, b) => Math.abs(a.time_s - time_s) - Math.abs(b.time_s - time_s))[0];
      return nearest?.faces ?? 0;
    });
    const most = Math.max(MANY_FACES, ...faces);
    const points = faces.flatMap((n, at) => [at, at + 1].map((x) => `${((100 * x) / POINTS).toFixed(2)}% ${(100 * (1 - n / most)).toFixed(1)}%`));
    return `polygon(0% 100%, ${points.join(', ')}, 100% 100%)`;
  }

  /** Arrow keys walk over the scenes. */
  private onKey(event: KeyboardEvent): void {
    const scenes = [...this.blocks.querySelectorAll<HTMLElement>('button:not(:disabled)')];
    const at = scenes.indexOf(event.target as HTMLElement);
    const to = { ArrowRight: at + 1, ArrowLeft: at - 1, Home: 0, End: scenes.length - 1 }[event.key];
    if (at < 0 || to === undefined) return;
    scenes[Math.min(Math.max(to, 0), scenes.length - 1)]?.focus();
    event.preventDefault();
  }

  /** Where a time lies, from 0 to 1. */
  private share(time_s: number): number {
    return (time_s - this.start_s) / this.duration_s;
  }

  private block(scene: Scene, frames: number): HTMLElement {
    const label = T.timeline.scene(scene.index + 1, scene.start_s, scene.end_s, frames);
    const segment = h('button', {
      type: 'button',
      class: `segment ${scene.index % 2 ? 'odd' : 'even'}`,
      title: label,
      'aria-label': label,
      disabled: frames === 0,
      tabindex: -1,
      onclick: () => this.onScene(scene.index),
    });
    place(segment, this.share(scene.start_s), (scene.end_s - scene.start_s) / this.duration_s);
    return segment;
  }

  /** The mixed frames before a scene that begins gradually. */
  private transition({ transition_start_frame, transition_end_frame, start_s }: Scene, { video }: Manifest): HTMLElement[] {
    if (transition_start_frame === undefined || transition_end_frame === undefined) return [];
    const length_s = ((transition_end_frame - transition_start_frame) * this.duration_s) / Math.max(1, video.frames_decoded);
    const hatch = h('span', { class: 'transition' });
    place(hatch, this.share(start_s - length_s), length_s / this.duration_s);
    return [hatch];
  }
}
