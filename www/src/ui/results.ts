/** What came out: summary, scenes, people, kept frames. */

import type { KeptFrame, Manifest, Reason, Scene } from '../manifest';
import { count, h, timeText } from './dom';

/** Frames added to the page at a time, so that a large result does not block it. */
const CHUNK = 60;

export function summary(manifest: Manifest): HTMLElement {
  const { video, frames, scenes, people } = manifest;
  const faces = frames.reduce((sum, frame) => sum + frame.faces.length, 0);
  const fact = (value: string, label: string) => h('li', {}, h('strong', {}, value), ' ', label);
  const complete = video.frames_missing === 0;
  return h(
    'div',
    { class: 'summary' },
    h(
      'ul',
      { class: 'facts' },
      fact(frames.length.toLocaleString('en'), frames.length === 1 ? 'frame kept' : 'frames kept'),
      fact(scenes.length.toLocaleString('en'), scenes.length === 1 ? 'scene' : 'scenes'),
      fact(faces.toLocaleString('en'), faces === 1 ? 'face' : 'faces'),
      fact(people.length.toLocaleString('en'), people.length === 1 ? 'person' : 'people'),
    ),
    h(
      'p',
      { class: complete ? 'complete' : 'incomplete', id: 'decoded' },
      complete
        ? `All ${count(video.frames_decoded, 'frame')} decoded.`
        : `${video.frames_decoded.toLocaleString('en')} of ${count(video.frames_expected, 'frame')} decoded; ${video.frames_missing.toLocaleString('en')} missing.`,
    ),
    video.notes.length > 0 && h('ul', { class: 'notes' }, ...video.notes.map((note) => h('li', {}, note))),
  );
}

const REASON_TEXT: Record<Reason, string> = {
  look_alike: 'look like a kept frame',
  transition: 'in or next to a transition or a flash',
  blank: 'show next to nothing',
  blurred: 'much less sharp than the frames around them',
  no_face: 'without a face',
  budget: 'over the number of frames to keep',
  face_small: 'with faces that are too small',
  face_blurred: 'with blurred faces',
  face_profile: 'with faces turned to a side',
  face_dark: 'with faces that are too dark',
  face_bright: 'with faces that are too bright',
  face_truncated: 'with faces cut by the border',
  other_person: 'with faces of other people only',
};

/** How many candidates were left out, for each reason, most frequent first. */
export function leftOut(manifest: Manifest, open: boolean): HTMLElement {
  const counts = new Map<Reason, number>();
  for (const { reason } of manifest.rejected) counts.set(reason, (counts.get(reason) ?? 0) + 1);
  const rows = [...counts].sort((a, b) => b[1] - a[1]);
  return h(
    'details',
    { class: 'left-out', hidden: rows.length === 0, open },
    h('summary', {}, `${count(manifest.rejected.length, 'candidate')} left out`),
    h('ul', {}, ...rows.map(([reason, n]) => h('li', {}, h('strong', {}, n.toLocaleString('en')), ` ${REASON_TEXT[reason]}`))),
  );
}

/** The video as a strip: one segment per scene, one mark per kept frame. */
export function timeline(manifest: Manifest, onScene: (scene: number) => void): HTMLElement {
  const { scenes, frames, video } = manifest;
  const duration_s = Math.max(video.duration_s, 1e-6);
  const strip = h('div', { class: 'timeline', role: 'group', 'aria-label': 'Scenes' });
  for (const scene of scenes) {
    const inside = frames.filter((f) => f.scene === scene.index).length;
    const label = `${sceneText(scene)}, ${count(inside, 'frame')}`;
    const segment = h('button', {
      type: 'button',
      class: `segment ${scene.index % 2 ? 'odd' : 'even'}`,
      title: label,
      'aria-label': label,
      disabled: inside === 0,
      onclick: () => onScene(scene.index),
    });
    place(segment, scene.start_s / duration_s, (scene.end_s - scene.start_s) / duration_s);
    strip.append(segment);
  }
  for (const frame of frames) {
    const mark = h('span', { class: frame.faces.length > 0 ? 'mark face' : 'mark', 'aria-hidden': 'true' });
    place(mark, frame.time_s / duration_s);
    strip.append(mark);
  }
  return strip;
}

function place(element: HTMLElement, left: number, width?: number): void {
  element.style.setProperty('left', `${100 * left}%`);
  if (width !== undefined) element.style.setProperty('width', `${100 * width}%`);
}

function sceneText(scene: Scene): string {
  return `Scene ${scene.index + 1}, ${timeText(scene.start_s, 1)} to ${timeText(scene.end_s, 1)}`;
}

export interface Gallery {
  element: HTMLElement;
  showScene: (scene: number) => void;
  /** Frees the pictures' addresses. */
  dispose(): void;
}

export function gallery(manifest: Manifest, thumbnails: Map<number, Blob>): Gallery {
  const urls: string[] = [];
  const list = h('ol', { class: 'gallery', 'aria-label': 'Kept frames' });
  const more = h('button', { type: 'button', class: 'secondary', onclick: () => grow() });
  let shown = 0;

  const figure = (frame: KeptFrame): HTMLElement => {
    const blob = thumbnails.get(frame.index);
    const url = blob ? URL.createObjectURL(blob) : '';
    if (url) urls.push(url);
    const people = frame.faces.map((f) => `person ${f.person + 1}`).join(', ');
    const picture = h(
      'div',
      { class: 'picture' },
      h('img', {
        src: url,
        alt: `Frame at ${timeText(frame.time_s, 2)}${people ? `, showing ${people}` : ''}`,
        width: manifest.video.width,
        height: manifest.video.height,
        decoding: 'async',
      }),
    );
    for (const face of frame.faces) {
      const [x, y, w, hgt] = face.bbox;
      const box = h(
        'span',
        { class: 'box', 'aria-hidden': 'true', title: `Person ${face.person + 1}, quality ${face.quality.toFixed(2)}${face.flags.length ? `, ${face.flags.join(', ')}` : ''}` },
        h('span', {}, String(face.person + 1)),
      );
      const percent = (name: string, value: number, of: number) => box.style.setProperty(name, `${(100 * value) / of}%`);
      percent('left', x, manifest.video.width);
      percent('top', y, manifest.video.height);
      percent('width', w, manifest.video.width);
      percent('height', hgt, manifest.video.height);
      picture.append(box);
    }
    return h(
      'li',
      { 'data-scene': frame.scene, 'data-index': frame.index, tabindex: -1 },
      picture,
      h('p', { class: 'caption' }, h('time', {}, timeText(frame.time_s, 2)), h('span', {}, `scene ${frame.scene + 1}`)),
    );
  };

  const grow = (until = shown + CHUNK) => {
    const next = manifest.frames.slice(shown, until);
    list.append(...next.map(figure));
    shown += next.length;
    const left = manifest.frames.length - shown;
    more.hidden = left === 0;
    more.textContent = `Show ${Math.min(CHUNK, left)} more of ${left}`;
  };
  grow();

  return {
    element: h('div', {}, list, more),
    showScene: (scene) => {
      const position = manifest.frames.findIndex((f) => f.scene === scene);
      if (position < 0) return;
      if (position >= shown) grow(position + CHUNK);
      const item = list.children[position] as HTMLElement;
      item.scrollIntoView({ block: 'center' });
      item.focus({ preventScroll: true });
    },
    dispose: () => urls.splice(0).forEach((url) => URL.revokeObjectURL(url)),
  };
}
