/** One frame at full quality, with what is known of it and its neighbours. */

import type { FullFrame, KeptFrame, Manifest } from 'framesift';
import { T, number, timeText } from '../text';
import { frameBox, h } from './dom';

export interface ViewerHost {
  thumbnail(index: number): Blob | undefined;
  personName(person: number): string;
  /** Asks for a frame at full quality; `Viewer.receive` follows. */
  request(index: number): void;
  decide(index: number, keep: boolean): void;
  /** Whoever opened it is gone; it showed this frame last. */
  closed(index: number): void;
}

export class Viewer {
  readonly element: HTMLDialogElement;
  private readonly picture = h('img', { alt: '' });
  private readonly boxes = h('div', { class: 'boxes', 'aria-hidden': 'true' });
  private readonly stage = h('div', { class: 'stage' }, this.picture, this.boxes);
  private readonly title = h('h2', { id: 'viewer-title' });
  private readonly state = h('p', { class: 'hint', role: 'status' });
  private readonly facts = h('dl', { class: 'facts-list' });
  private readonly faces = h('ul', { class: 'viewer-faces' });
  private readonly decide = h('button', { type: 'button', class: 'primary', id: 'viewer-decide', onclick: () => this.toggle() });
  private readonly showBoxes = h('input', { type: 'checkbox', id: 'viewer-boxes', checked: true, onchange: () => this.drawBoxes() });
  private manifest: Manifest | undefined;
  private index = 0;
  private url = '';
  private opener: Element | null = null;
  /** The frame that was asked for and has not come. */
  private asked: number | undefined;
  /** Time of a frame that is no candidate, once the decoder has told it. */
  private known_s: number | undefined;

  constructor(private readonly host: ViewerHost) {
    const button = (label: string, text: string, run: () => void, id: string) =>
      h('button', { type: 'button', class: 'secondary', id, 'aria-label': label, title: label, onclick: run }, text);
    this.element = h(
      'dialog',
      { class: 'viewer', 'aria-labelledby': 'viewer-title' },
      h(
        'div',
        { class: 'viewer-head' },
        this.title,
        h('button', { type: 'button', class: 'secondary', id: 'viewer-close', onclick: () => this.element.close() }, T.viewer.close),
      ),
      this.stage,
      h(
        'div',
        { class: 'viewer-bar' },
        button(T.viewer.before, '«', () => this.walk(-1), 'viewer-before'),
        button(T.viewer.stepBack, '‹', () => this.step(-1), 'viewer-step-back'),
        this.decide,
        button(T.viewer.stepOn, '›', () => this.step(1), 'viewer-step-on'),
        button(T.viewer.after, '»', () => this.walk(1), 'viewer-after'),
        h('label', { for: 'viewer-boxes' }, this.showBoxes, ` ${T.viewer.boxes}`),
      ),
      this.state,
      h('div', { class: 'viewer-about' }, this.facts, this.faces),
      h('p', { class: 'hint' }, T.viewer.keys),
    );
    this.element.addEventListener('keydown', (event) => this.onKey(event));
    this.element.addEventListener('close', () => {
      this.free();
      if (this.opener instanceof HTMLElement && this.opener.isConnected) this.opener.focus({ preventScroll: true });
      else this.host.closed(this.index);
    });
  }

  open(manifest: Manifest, index: number): void {
    this.opener = document.activeElement;
    this.manifest = manifest;
    if (!this.element.open) this.element.showModal();
    this.go(index);
    this.decide.focus();
  }

  /** Another choice: what is shown may be kept or left out now. `said`: what there is to say about it. */
  update(manifest: Manifest, said: string): void {
    this.manifest = manifest;
    if (!this.element.open) return;
    this.describe();
    if (this.asked === undefined) this.state.textContent = said;
  }

  close(): void {
    if (this.element.open) this.element.close();
  }

  receive({ index, time_s, picture }: FullFrame): void {
    this.asked = undefined;
    if (!this.element.open) return;
    // One at a time, and then the one that is looked at by now.
    if (index !== this.index) return this.ask();
    this.element.dataset['full'] = String(index);
    if (time_s !== undefined) this.known_s = time_s;
    this.describe();
    if (!picture) {
      this.state.textContent = T.viewer.lost;
      return;
    }
    this.state.textContent = '';
    this.showPicture(picture);
  }

  private go(index: number): void {
    const { manifest } = this;
    if (!manifest) return;
    this.index = Math.min(Math.max(0, index), manifest.video.frames_decoded - 1);
    const small = this.host.thumbnail(this.index);
    if (small) this.showPicture(small);
    else this.free();
    this.stage.style.setProperty('--ratio', String(manifest.video.width / manifest.video.height));
    this.known_s = undefined;
    delete this.element.dataset['full'];
    this.describe();
    this.state.textContent = `${this.title.textContent ?? ''}. ${T.viewer.loading}`;
    this.ask();
  }

  private ask(): void {
    if (this.asked !== undefined) return;
    this.asked = this.index;
    this.host.request(this.index);
  }

  private showPicture(blob: Blob): void {
    const old = this.url;
    this.url = URL.createObjectURL(blob);
    this.picture.src = this.url;
    if (old) URL.revokeObjectURL(old);
  }

  private free(): void {
    this.picture.removeAttribute('src');
    if (this.url) URL.revokeObjectURL(this.url);
    this.url = '';
  }

  private kept(): KeptFrame | undefined {
    return this.manifest?.frames.find((frame) => frame.index === this.index);
  }

  private time_s(): number {
    const { manifest, index } = this;
    const known = this.kept() ?? manifest?.rejected.find((frame) => frame.index === index);
    if (known || this.known_s !== undefined || !manifest) return known?.time_s ?? this.known_s ?? 0;
    // Between candidates only the decoder knows; near enough for a title.
    const { video, scenes } = manifest;
    return (scenes[0]?.start_s ?? 0) + (index / Math.max(1, video.frames_decoded)) * video.duration_s;
  }

  private describe(): void {
    const { manifest, index } = this;
    if (!manifest) return;
    const kept = this.kept();
    const rejected = manifest.rejected.find((frame) => frame.index === index);
    this.title.textContent = T.viewer.title(this.time_s());
    this.picture.alt = T.viewer.title(this.time_s());
    this.decide.textContent = kept ? T.gallery.leaveOut : T.gallery.keep;
    const scene = kept?.scene ?? manifest.scenes.find((s) => index >= s.start_frame && index < s.end_frame)?.index;
    const rows: [string, string][] = [
      [T.viewer.time, timeText(this.time_s(), 3)],
      [T.viewer.index, number(index)],
      [T.viewer.scene, scene === undefined ? '' : String(scene + 1)],
    ];
    if (kept) rows.push([T.viewer.sharpness, kept.sharpness.toFixed(0)]);
    if (rejected) rows.push([T.viewer.reason, T.gallery.reasons[rejected.reason]]);
    if (!kept && !rejected) rows.push([T.viewer.reason, T.viewer.notCandidate]);
    this.facts.replaceChildren(...rows.map(([name, value]) => h('div', {}, h('dt', {}, name), h('dd', {}, value))));
    this.faces.replaceChildren(
      ...(kept?.faces ?? []).map((face) => {
        const flags = face.flags.map((flag) => T.settings.flags[flag]).join(', ');
        const name = this.host.personName(face.person);
        const parts = [T.people.box(name, face.quality, flags), T.viewer.pose(face.pose.yaw_deg, face.pose.pitch_deg)];
        if (face.reference_cosine !== undefined) parts.push(T.people.likeReference(face.reference_cosine));
        if (face.avoid_cosine !== undefined) parts.push(T.people.likeAvoided(face.avoid_cosine));
        return h('li', {}, parts.join('; '));
      }),
    );
    this.drawBoxes();
  }

  private drawBoxes(): void {
    const { manifest } = this;
    this.boxes.replaceChildren();
    if (!manifest || !this.showBoxes.checked) return;
    for (const face of this.kept()?.faces ?? []) {
      const box = h('span', { class: 'box' }, h('span', {}, this.host.personName(face.person)));
      frameBox(box, face.bbox, manifest.video);
      this.boxes.append(box);
      for (const [x, y] of face.landmarks) {
        const point = h('span', { class: 'point' });
        frameBox(point, [x ?? 0, y ?? 0, 0, 0], manifest.video);
        this.boxes.append(point);
      }
    }
  }

  private toggle(): void {
    this.host.decide(this.index, !this.kept());
  }

  private step(by: number): void {
    this.go(this.index + by);
  }

  /** To the next kept frame. */
  private walk(by: 1 | -1): void {
    const frames = this.manifest?.frames ?? [];
    const next = by > 0 ? frames.find((f) => f.index > this.index) : frames.findLast((f) => f.index < this.index);
    if (next) this.go(next.index);
  }

  private onKey(event: KeyboardEvent): void {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    const keys: Record<string, () => void> = {
      ArrowLeft: () => this.walk(-1),
      ArrowRight: () => this.walk(1),
      ',': () => this.step(-1),
      '.': () => this.step(1),
      x: () => this.toggle(),
    };
    const run = keys[event.key.toLowerCase()] ?? keys[event.key];
    if (!run) return;
    event.preventDefault();
    run();
  }
}
