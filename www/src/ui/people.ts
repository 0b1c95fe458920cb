/** Who is in the kept frames: names, best shots, only these, never these, and the same person twice. */

import type { KeptFace, KeptFrame, Manifest, Person } from 'framesift';
import { T } from '../text';
import { BlobUrls, h } from './dom';

export interface PeopleHost {
  portrait(index: number, face: KeptFace): Blob | undefined;
  personName(person: number): string;
  /** What they are called as long as they have no name. */
  usualName(person: number): string;
  /** Says that one is two. */
  split(person: number): void;
  /** Whose frames alone are kept; none for everyone's. */
  only(): number[];
  everyone(): void;
  setOnly(person: number, only: boolean): void;
  /** With whom no frame is kept. */
  without(): number[];
  setWithout(person: number, without: boolean): void;
  rename(person: number, name: string): void;
  /** Says that two are one, or, without the second, that they are not. */
  join(person: number, into: number | undefined): void;
  joined(): { id: number; into: number }[];
  open(index: number): void;
  /** Only frames with who is on photos, or none with them. */
  lookFor(photos: File[]): void;
  lookingFor(): string[];
  avoid(photos: File[]): void;
  avoiding(): string[];
}

/** Everyone's best face, and how much there is to see of them. */
interface Seen {
  person: Person;
  frame: KeptFrame;
  face: KeptFace;
  most_yaw: number;
  most_px: number;
}

export class People {
  readonly element: HTMLElement;
  private readonly urls = new BlobUrls();
  private portraits: { image: HTMLImageElement; frame: KeptFrame; face: KeptFace }[] = [];
  private readonly list = h('ul', { class: 'people', 'aria-label': T.people.title });
  private readonly title = h('h2', { id: 'people-title', tabindex: -1 }, T.people.title);
  private readonly joins = h('ul', { class: 'joins' });
  private readonly looking = h('div', { class: 'looking' });

  constructor(private readonly host: PeopleHost) {
    this.element = h(
      'section',
      { class: 'panel', 'aria-labelledby': 'people-title' },
      this.title,
      this.list,
      this.joins,
      ...photosButton('reference', T.people.reference, (photos) => host.lookFor(photos)),
      ...photosButton('avoid', T.people.avoid, (photos) => host.avoid(photos)),
      h('p', { class: 'hint' }, T.people.referenceHint),
      this.looking,
    );
  }

  /** Shows the portraits that came after their cards. */
  fillPictures(): void {
    for (const { image, frame, face } of this.portraits) {
      const blob = image.getAttribute('src') === '' ? this.host.portrait(frame.index, face) : undefined;
      if (blob) image.src = this.urls.of(blob);
    }
  }

  clear(): void {
    this.portraits = [];
    this.list.replaceChildren();
    this.urls.clear();
  }

  show(manifest: Manifest): void {
    const focused = document.activeElement instanceof HTMLElement && this.element.contains(document.activeElement) ? document.activeElement : null;
    // What is being typed is not taken away.
    const typed = focused instanceof HTMLInputElement && focused.type === 'text' ? { value: focused.value, at: focused.selectionStart } : null;
    const seen = best(manifest);
    this.portraits = [];
    this.list.replaceChildren(...seen.map((one) => this.card(one, manifest.people)));
    if (seen.length === 0) this.list.append(h('li', { class: 'hint' }, T.people.none));
    this.joins.replaceChildren(
      ...this.host.joined().map(({ id, into }) =>
        h(
          'li',
          { class: 'hint' },
          T.people.joined(this.host.usualName(id), this.host.personName(into)),
          ' ',
          h('button', { type: 'button', class: 'link', onclick: () => this.host.join(id, undefined) }, T.people.apart),
        ),
      ),
    );
    const names = this.host.lookingFor();
    const only = this.host.only();
    this.looking.replaceChildren();
    const say = (text: string, back: string, run: () => void, label = back) =>
      this.looking.append(h('p', { class: 'hint' }, text), h('button', { type: 'button', class: 'link', 'aria-label': label, onclick: run }, back));
    const avoided = this.host.avoiding();
    if (names.length > 0) say(T.people.referenceIs(names.join(', ')), T.people.everyone, () => this.host.lookFor([]));
    if (avoided.length > 0) say(T.people.avoidIs(avoided.join(', ')), T.people.nobody, () => this.host.avoid([]));
    if (only.length > 0) say(T.people.onlyThese(only.map((person) => this.host.personName(person)).join(', ')), T.people.everyone, () => this.host.everyone());
    for (const person of this.host.without()) {
      const name = this.host.personName(person);
      say(T.people.withoutThese(name), T.people.again, () => this.host.setWithout(person, false), T.people.againLabel(name));
    }
    if (!focused || focused.isConnected) return;
    const again = (focused.id && document.getElementById(focused.id)) || this.title;
    again.focus({ preventScroll: true });
    if (typed && again instanceof HTMLInputElement) {
      again.value = typed.value;
      again.setSelectionRange(typed.at, typed.at);
    }
  }

  private card({ person, frame, face, most_yaw, most_px }: Seen, all: Person[]): HTMLElement {
    const { host } = this;
    const name = host.personName(person.id);
    const blob = host.portrait(frame.index, face);
    const image = h('img', { src: blob ? this.urls.of(blob) : '', alt: '', width: 112, height: 112 });
    this.portraits.push({ image, frame, face });
    const id = `person-${person.id}`;
    const others = all.filter((other) => other.id !== person.id);
    // Everyone in everyone's list would be too much to have ready.
    const fill = (event: Event) => {
      const list = event.currentTarget as HTMLSelectElement;
      if (list.length === 1) list.append(...others.map((other) => h('option', { value: other.id }, host.personName(other.id))));
    };
    const same = h(
      'select',
      {
        id: `${id}-same`,
        'aria-label': T.people.sameAsLabel(name),
        onchange: (event: Event) => {
          const { value } = event.target as HTMLSelectElement;
          if (value !== '') host.join(person.id, Number(value));
        },
        onfocus: fill,
        onpointerdown: fill,
      },
      h('option', { value: '', selected: true }, T.people.sameAs),
    );
    return h(
      'li',
      { 'data-person': person.id },
      h(
        'button',
        { type: 'button', class: 'portrait', id: `${id}-portrait`, 'aria-label': T.people.best(name), onclick: () => host.open(frame.index) },
        image,
      ),
      h(
        'div',
        { class: 'who' },
        h('input', {
          type: 'text',
          id: `${id}-name`,
          class: 'name',
          maxlength: 60,
          autocomplete: 'off',
          placeholder: host.usualName(person.id),
          value: person.name ?? '',
          'aria-label': T.people.name(host.usualName(person.id)),
          onchange: (event: Event) => host.rename(person.id, (event.target as HTMLInputElement).value.trim()),
        }),
        h('p', { class: 'hint' }, `${T.people.faces(person.faces)}, ${T.people.spread(most_yaw, most_px)}`),
        h(
          'div',
          { class: 'row' },
          h(
            'label',
            { for: `${id}-only` },
            h('input', {
              type: 'checkbox',
              id: `${id}-only`,
              checked: host.only().includes(person.id),
              'aria-label': T.people.onlyOne(name),
              onchange: (event: Event) => host.setOnly(person.id, (event.target as HTMLInputElement).checked),
            }),
            ` ${T.people.only}`,
          ),
          h('button', { type: 'button', class: 'link', id: `${id}-without`, 'aria-label': T.people.withoutOne(name), onclick: () => host.setWithout(person.id, true) }, T.people.without),
          others.length > 0 && same,
          h('button', { type: 'button', class: 'link', id: `${id}-split`, 'aria-label': T.people.splitLabel(name), title: T.people.splitHint, onclick: () => host.split(person.id) }, T.people.split),
        ),
      ),
    );
  }
}

/** A button that takes photos. */
function photosButton(id: string, text: string, take: (photos: File[]) => void): HTMLElement[] {
  const input: HTMLInputElement = h('input', {
    type: 'file',
    id,
    class: 'visually-hidden',
    accept: 'image/*',
    multiple: true,
    onchange: () => {
      const files = [...(input.files ?? [])];
      // So that the same photos can be chosen again.
      input.value = '';
      if (files.length > 0) take(files);
    },
  });
  return [input, h('label', { class: 'secondary as-button', for: id }, text)];
}

function best({ people, frames }: Manifest): Seen[] {
  const found = new Map<number, Omit<Seen, 'person'>>();
  for (const frame of frames) {
    for (const face of frame.faces) {
      const before = found.get(face.person);
      const most_yaw = Math.max(before?.most_yaw ?? 0, Math.abs(face.pose.yaw_deg));
      const most_px = Math.max(before?.most_px ?? 0, face.bbox[2], face.bbox[3]);
      const better = !before || face.quality > before.face.quality;
      found.set(face.person, better ? { frame, face, most_yaw, most_px } : { ...before, most_yaw, most_px });
    }
  }
  return people.flatMap((person) => {
    const seen = found.get(person.id);
    return seen ? [{ person, ...seen }] : [];
  });
}
