/** Who is in the kept frames: names, best shots, only these, and the same person twice. */

import type { KeptFace, KeptFrame, Manifest, Person } from '../manifest';
import { T } from '../text';
import { BlobUrls, h } from './dom';

export interface PeopleHost {
  portrait(index: number, face: KeptFace): Blob | undefined;
  personName(person: number): string;
  isOnly(person: number): boolean;
  setOnly(person: number, only: boolean): void;
  rename(person: number, name: string): void;
  /** Says that two are one, or, without the second, that they are not. */
  join(person: number, into: number | undefined): void;
  joined(): { id: number; into: number }[];
  open(index: number): void;
  lookFor(photos: File[]): void;
  lookingFor(): string[];
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
  private readonly list = h('ul', { class: 'people', 'aria-label': T.people.title });
  private readonly joins = h('ul', { class: 'joins' });
  private readonly looking = h('div', { class: 'looking', role: 'status' });
  private readonly photos: HTMLInputElement;

  constructor(private readonly host: PeopleHost) {
    this.photos = h('input', {
      type: 'file',
      id: 'reference',
      class: 'visually-hidden',
      accept: 'image/*',
      multiple: true,
      onchange: () => {
        const files = [...(this.photos.files ?? [])];
        // So that the same photos can be chosen again.
        this.photos.value = '';
        if (files.length > 0) host.lookFor(files);
      },
    });
    this.element = h(
      'section',
      { class: 'panel', 'aria-labelledby': 'people-title' },
      h('h2', { id: 'people-title' }, T.people.title),
      this.list,
      this.joins,
      this.photos,
      h('label', { class: 'secondary as-button', for: 'reference' }, T.people.reference),
      h('p', { class: 'hint' }, T.people.referenceHint),
      this.looking,
    );
  }

  clear(): void {
    this.list.replaceChildren();
    this.urls.clear();
  }

  show(manifest: Manifest): void {
    const focused = (document.activeElement as HTMLElement | null)?.id;
    const seen = manifest.people.flatMap((person) => best(person, manifest));
    this.list.replaceChildren(...seen.map((one) => this.card(one, manifest.people)));
    if (seen.length === 0) this.list.append(h('li', { class: 'hint' }, T.people.none));
    this.joins.replaceChildren(
      ...this.host.joined().map(({ id, into }) =>
        h(
          'li',
          { class: 'hint' },
          T.people.joined(T.people.person(id + 1), this.host.personName(into)),
          ' ',
          h('button', { type: 'button', class: 'link', onclick: () => this.host.join(id, undefined) }, T.people.apart),
        ),
      ),
    );
    const names = this.host.lookingFor();
    this.looking.replaceChildren();
    if (names.length > 0) {
      this.looking.append(
        h('p', { class: 'hint' }, T.people.referenceIs(names.join(', '))),
        h('button', { type: 'button', class: 'link', onclick: () => this.host.lookFor([]) }, T.people.everyone),
      );
    }
    if (focused) document.getElementById(focused)?.focus({ preventScroll: true });
  }

  private card({ person, frame, face, most_yaw, most_px }: Seen, all: Person[]): HTMLElement {
    const { host } = this;
    const name = host.personName(person.id);
    const blob = host.portrait(frame.index, face);
    const id = `person-${person.id}`;
    const others = all.filter((other) => other.id !== person.id);
    const same = h(
      'select',
      {
        id: `${id}-same`,
        'aria-label': T.people.sameAsLabel(name),
        onchange: (event: Event) => host.join(person.id, Number((event.target as HTMLSelectElement).value)),
      },
      h('option', { value: '', selected: true }, T.people.sameAs),
      ...others.map((other) => h('option', { value: other.id }, host.personName(other.id))),
    );
    return h(
      'li',
      { 'data-person': person.id },
      h(
        'button',
        { type: 'button', class: 'portrait', 'aria-label': T.people.best(name), onclick: () => host.open(frame.index) },
        h('img', { src: blob ? this.urls.of(blob) : '', alt: '', width: 112, height: 112 }),
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
          placeholder: T.people.person(person.id + 1),
          value: person.name ?? '',
          'aria-label': T.people.name(person.id + 1),
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
              checked: host.isOnly(person.id),
              'aria-label': T.people.onlyOne(name),
              onchange: (event: Event) => host.setOnly(person.id, (event.target as HTMLInputElement).checked),
            }),
            ` ${T.people.only}`,
          ),
          others.length > 0 && same,
        ),
      ),
    );
  }
}

function best(person: Person, { frames }: Manifest): Seen[] {
  let found: Seen | undefined;
  for (const frame of frames) {
    for (const face of frame.faces) {
      if (face.person !== person.id) continue;
      const most_yaw = Math.max(found?.most_yaw ?? 0, Math.abs(face.pose.yaw_deg));
      const most_px = Math.max(found?.most_px ?? 0, face.bbox[2], face.bbox[3]);
      const better = !found || face.quality > found.face.quality;
      found = better || !found ? { person, frame, face, most_yaw, most_px } : { ...found, most_yaw, most_px };
    }
  }
  return found ? [found] : [];
}
