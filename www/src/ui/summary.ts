/** The result in numbers, and whether all of the video was seen. */

import type { Manifest } from 'framesift';
import { T, number } from '../text';
import { h } from './dom';

export function summary({ video, frames, scenes, people }: Manifest): HTMLElement[] {
  const faces = frames.reduce((sum, frame) => sum + frame.faces.length, 0);
  const fact = (value: number, label: string) => h('li', {}, h('strong', {}, number(value)), ' ', label);
  const complete = video.frames_missing === 0;
  const parts = [
    h(
      'ul',
      { class: 'facts' },
      fact(frames.length, T.result.kept(frames.length)),
      fact(scenes.length, T.result.scenes(scenes.length)),
      fact(faces, T.result.faces(faces)),
      fact(people.length, T.result.people(people.length)),
    ),
    h(
      'p',
      { class: complete ? 'complete' : 'incomplete', id: 'decoded' },
      complete ? T.result.complete(video.frames_decoded) : T.result.incomplete(video.frames_decoded, video.frames_expected, video.frames_missing),
    ),
  ];
  if (video.notes.length > 0) parts.push(h('ul', { class: 'notes' }, ...video.notes.map((note) => h('li', {}, note))));
  return parts;
}
