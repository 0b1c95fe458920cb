/** Frames as cards: those that are kept, or those that were left out and why. */

import type { KeptFrame, Manifest, Reason, Rejected } from 'framesift';
import { T, number, timeText } from '../text';
import { BlobUrls, Roving, frameBox, h } from './dom';

/** Cards added at once, so that a large result does not block the page. */
const CHUNK = 80;
/** Chunks that are there before the page is shown again. */
const AT_ONCE = 2;

export type Sort = 'scene' | 'person' | 'quality';

export interface GalleryHost {
  thumbnail(index: number): Blob | undefined;
  personName(person: number): string;
  /** A few letters for a box. */
  personTag(person: number): string;
  /** Whether the user has decided about a frame, and how. */
  decided(index: number): boolean | undefined;
  open(index: number): void;
  /** Keeps a frame or leaves it out. */
  decide(index: number, keep: boolean): void;
  /** What was left out is looked at now, all of it. */
  leftOutShown(): void;
}

interface Card {
  index: number;
  time_s: number;
  scene?: number;
  kept: KeptFrame | undefined;
}

type Cards = Map<string, { key: string; element: HTMLElement }>;

interface GroupElement {
  heading: HTMLElement;
  list: HTMLElement;
}

interface Group {
  title: string;
  cards: Card[];
}

export class Gallery {
  readonly element: HTMLElement;
  private readonly urls = new BlobUrls();
  private readonly tabs: Record<'kept' | 'leftOut', HTMLButtonElement>;
  private readonly sorts: HTMLSelectElement;
  private readonly list = h('div', { class: 'groups', id: 'gallery-panel', role: 'tabpanel' });
  private manifest: Manifest | undefined;
  private showsKept = true;
  /** Cards that are in the page, by group and frame, with what they show. */
  private cards: Cards = new Map();
  private pending = 0;
  /** Whether all cards are in the page, in which order, and where. */
  private complete = false;
  private layout = '';
  private lists: GroupElement[] = [];
  private readonly roving = new Roving(this.list, 'li[data-index]');

  constructor(private readonly host: GalleryHost) {
    const tab = (kept: boolean, id: string) =>
      h('button', { type: 'button', role: 'tab', id, 'aria-controls': 'gallery-panel', onclick: () => this.view(kept), onkeydown: (e: KeyboardEvent) => this.switchTab(e) });
    this.tabs = { kept: tab(true, 'tab-kept'), leftOut: tab(false, 'tab-left-out') };
    this.sorts = h(
      'select',
      { id: 'sort', onchange: () => this.render() },
      ...(['scene', 'person', 'quality'] satisfies Sort[]).map((name) => h('option', { value: name }, T.gallery.sorts[name])),
    );
    this.list.addEventListener('keydown', (event) => this.onKey(event));
    this.element = h(
      'div',
      { class: 'gallery-box' },
      h(
        'div',
        { class: 'gallery-bar' },
        h('div', { role: 'tablist', 'aria-label': T.gallery.views }, this.tabs.kept, this.tabs.leftOut),
        h('label', { class: 'inline', for: 'sort' }, T.gallery.sort, ' ', this.sorts),
      ),
      h('p', { class: 'hint keys' }, T.gallery.keys),
      this.list,
    );
  }

  show(manifest: Manifest): void {
    this.manifest = manifest;
    this.tabs.kept.textContent = T.gallery.kept(manifest.frames.length);
    this.tabs.leftOut.textContent = T.gallery.leftOut(manifest.rejected.length);
    this.render();
  }

  /** Shows the pictures that came after their cards. */
  fillPictures(): void {
    for (const image of this.list.querySelectorAll<HTMLImageElement>('img[src=""]')) {
      const blob = this.host.thumbnail(Number(image.closest<HTMLElement>('li')?.dataset['index']));
      if (blob) image.src = this.urls.of(blob);
    }
  }

  /** Frees the pictures' addresses. */
  clear(): void {
    this.pending += 1;
    this.cards.clear();
    this.complete = false;
    this.list.replaceChildren();
    this.urls.clear();
    this.manifest = undefined;
    this.showsKept = true;
  }

  showScene(scene: number): void {
    if (!this.showsKept || this.sorts.value !== 'scene') {
      this.sorts.value = 'scene';
      this.view(true);
    }
    const frame = this.manifest?.frames.find((f) => f.scene === scene);
    const card = frame && this.list.querySelector<HTMLElement>(`[data-index="${frame.index}"]`);
    card?.scrollIntoView({ block: 'center' });
    card?.querySelector<HTMLElement>('.picture')?.focus({ preventScroll: true });
  }

  get showsLeftOut(): boolean {
    return !this.showsKept;
  }

  private view(kept: boolean): void {
    this.showsKept = kept;
    this.render();
    if (!kept) this.host.leftOutShown();
  }

  private switchTab(event: KeyboardEvent): void {
    if (event.key !== 'ArrowLeft' && event.key !== 'ArrowRight') return;
    this.view(!this.showsKept);
    (this.showsKept ? this.tabs.kept : this.tabs.leftOut).focus();
  }

  private groups(manifest: Manifest): Group[] {
    if (!this.showsKept) return leftOut(manifest);
    const cards = manifest.frames.map((kept): Card => ({ index: kept.index, time_s: kept.time_s, scene: kept.scene, kept }));
    const groups = new Map<number, Group>();
    const add = (key: number, title: string, card: Card) => {
      const group = groups.get(key) ?? { title, cards: [] };
      group.cards.push(card);
      groups.set(key, group);
    };
    switch (this.sorts.value as Sort) {
      case 'scene':
        return cards.length > 0 ? [{ title: T.gallery.inOrder, cards }] : [];
      case 'person':
        for (const card of cards) {
          const people = new Set(card.kept?.faces.map((face) => face.person));
          for (const person of people) add(person, this.host.personName(person), card);
          if (people.size === 0) add(Infinity, T.gallery.nobody, card);
        }
        return [...groups].sort(([a], [b]) => a - b).map(([, group]) => group);
      case 'quality': {
        const best = ({ kept }: Card) => Math.max(0, ...(kept?.faces ?? []).map((face) => face.quality));
        if (cards.length === 0) return [];
        return [{ title: T.gallery.byQuality, cards: cards.sort((a, b) => best(b) - best(a)) }];
      }
    }
  }

  private render(): void {
    const { manifest } = this;
    if (!manifest) return;
    for (const [name, tab] of Object.entries(this.tabs)) {
      const chosen = (name === 'kept') === this.showsKept;
      tab.setAttribute('aria-selected', String(chosen));
      tab.tabIndex = chosen ? 0 : -1;
    }
    this.list.setAttribute('aria-labelledby', this.showsKept ? 'tab-kept' : 'tab-left-out');
    this.sorts.disabled = !this.showsKept;
    const focused = document.activeElement?.closest<HTMLElement>('li[data-index]')?.dataset['index'];
    const groups = this.groups(manifest);
    const layout = `${this.showsKept} ${this.sorts.value} ${manifest.video.name}`;
    if (this.complete && layout === this.layout && groups.length === this.lists.length) this.patch(groups, manifest);
    else this.build(groups, manifest, focused);
    this.layout = layout;
    this.roving.update();
    if (focused !== undefined && this.list.contains(document.activeElement) === false) this.focusNear(Number(focused));
  }

  /** The same groups with some cards more, fewer or changed: the others stay where they are, which is much less work. */
  private patch(groups: Group[], manifest: Manifest): void {
    const before = this.cards;
    this.cards = new Map();
    for (const [i, { title, cards }] of groups.entries()) {
      const { heading, list } = this.lists[i] as GroupElement;
      heading.replaceChildren(...headingOf(title, cards.length));
      list.setAttribute('aria-label', title);
      const wanted = cards.map((card) => this.card(i, card, manifest, before));
      const stay = new Set<Element>(wanted);
      for (const element of [...list.children]) if (!stay.has(element)) element.remove();
      for (const [at, element] of wanted.entries()) {
        const there = list.children[at] ?? null;
        if (there !== element) list.insertBefore(element, there);
      }
    }
  }

  /** Everything anew: the first screenful at once, the rest when there is time. */
  private build(groups: Group[], manifest: Manifest, focused: string | undefined): void {
    const before = this.cards;
    this.cards = new Map();
    const run = ++this.pending;
    this.complete = false;
    const waiting: { group: number; cards: Card[]; list: HTMLElement }[] = [];
    this.lists = groups.map(({ title, cards }, group) => {
      const list = h('ol', { class: this.showsKept ? 'gallery' : 'gallery-left-out', 'aria-label': title });
      for (let i = 0; i < cards.length; i += CHUNK) waiting.push({ group, cards: cards.slice(i, i + CHUNK), list });
      return { heading: h('h3', {}, ...headingOf(title, cards.length)), list };
    });
    const sections = this.lists.map(({ heading, list }) => h('section', { class: 'group' }, heading, list));
    if (groups.length === 0) {
      sections.push(h('section', { class: 'group empty' }, h('p', {}, this.showsKept ? T.gallery.empty : T.gallery.nothingLeftOut)));
    }
    // So that the page does not get shorter under the user meanwhile.
    this.list.style.minHeight = `${this.list.offsetHeight}px`;
    const index = focused === undefined ? -1 : waiting.findIndex(({ cards }) => cards.some((card) => String(card.index) === focused));
    const atOnce = Math.max(AT_ONCE, index + 1);
    let shown = 0;
    const more = (most: number) => {
      for (const { group, cards, list } of waiting.slice(shown, shown + most)) list.append(...cards.map((card) => this.card(group, card, manifest, before)));
      shown += most;
      if (shown < waiting.length) {
        setTimeout(() => run === this.pending && more(1));
        return;
      }
      this.complete = true;
      this.list.style.minHeight = '';
    };
    more(atOnce);
    this.list.replaceChildren(...sections);
  }

  /** Focuses a frame's card, or the nearest one by time where it is gone; the tab where there is none. */
  focusNear(index: number): void {
    const items = [...this.list.querySelectorAll<HTMLElement>('li[data-index]')];
    const distance = (item: HTMLElement) => Math.abs(Number(item.dataset['index']) - index);
    const nearest = items.reduce<HTMLElement | undefined>((a, b) => (a && distance(a) <= distance(b) ? a : b), undefined);
    const target = nearest?.querySelector<HTMLElement>('.picture') ?? (this.showsKept ? this.tabs.kept : this.tabs.leftOut);
    target.focus({ preventScroll: true });
  }

  private card(group: number, card: Card, manifest: Manifest, before: Cards): HTMLElement {
    const { index, kept } = card;
    const names = kept?.faces.map((face) => this.host.personName(face.person)) ?? [];
    const decided = this.host.decided(index);
    const key = JSON.stringify([names, decided, card.scene, Boolean(kept)]);
    // The same frame may be in several groups.
    const place = `${group} ${index}`;
    const known = before.get(place);
    const element = known?.key === key ? known.element : this.make(card, manifest, names, decided);
    this.cards.set(place, { key, element });
    return element;
  }

  private make({ index, time_s, scene, kept }: Card, { video }: Manifest, names: string[], decided: boolean | undefined): HTMLElement {
    const blob = this.host.thumbnail(index);
    const picture = h(
      'button',
      { type: 'button', class: 'picture', tabindex: -1, 'aria-label': T.gallery.open(time_s, names.join(', ')), onclick: () => this.host.open(index) },
      h('img', {
        src: blob ? this.urls.of(blob) : '',
        alt: '',
        width: video.width,
        height: video.height,
        loading: 'lazy',
        decoding: 'async',
      }),
    );
    // Over the button, not in it: what they say is in the picture's own words.
    const boxes = h('div', { class: 'boxes', 'aria-hidden': 'true' });
    kept?.faces.forEach((face, i) => {
      const label = T.people.box(names[i] ?? '', face.quality, face.flags.map((flag) => T.settings.flags[flag]).join(', '));
      const box = h('span', { class: 'box', title: label }, h('span', {}, this.host.personTag(face.person)));
      frameBox(box, face.bbox, video);
      boxes.append(box);
    });
    const keeps = !kept;
    return h(
      'li',
      {
        'data-index': index,
        ...(scene !== undefined && { 'data-scene': scene }),
        class: `${scene === undefined ? '' : scene % 2 ? 'odd' : 'even'}${decided === undefined ? '' : ' decided'}`,
      },
      h('div', { class: 'picture-box' }, picture, boxes),
      h(
        'div',
        { class: 'caption' },
        h('time', {}, timeText(time_s, 2)),
        scene !== undefined && h('span', { class: 'scene' }, T.gallery.inScene(scene + 1)),
        decided !== undefined && h('span', { class: 'by-hand', title: T.gallery.decided }, T.gallery.decided),
        h(
          'button',
          {
            type: 'button',
            class: 'decide',
            tabindex: -1,
            'aria-label': `${keeps ? T.gallery.keep : T.gallery.leaveOut}: ${timeText(time_s, 2)}`,
            onclick: () => this.host.decide(index, keeps),
          },
          keeps ? T.gallery.keep : T.gallery.leaveOut,
        ),
      ),
    );
  }

  /** Arrow keys walk over the cards; X decides. */
  private onKey(event: KeyboardEvent): void {
    const item = (event.target as HTMLElement).closest<HTMLElement>('li[data-index]');
    if (!item || event.ctrlKey || event.metaKey || event.altKey) return;
    const index = Number(item.dataset['index']);
    const items = [...this.list.querySelectorAll<HTMLElement>('li[data-index]')];
    const at = items.indexOf(item);
    const go = (to: number) => {
      const next = items[Math.min(Math.max(to, 0), items.length - 1)];
      next?.querySelector<HTMLElement>('.picture')?.focus();
      event.preventDefault();
    };
    const first = item.parentElement?.querySelector<HTMLElement>('li');
    const row = items.filter((other) => other.parentElement === item.parentElement && other.offsetTop === first?.offsetTop).length;
    switch (event.key) {
      case 'ArrowRight':
        return go(at + 1);
      case 'ArrowLeft':
        return go(at - 1);
      case 'ArrowDown':
        return go(at + row);
      case 'ArrowUp':
        return go(at - row);
      case 'Home':
        return go(0);
      case 'End':
        return go(items.length - 1);
      case 'Delete':
        if (!this.showsKept) return;
        go(at + 1 < items.length ? at + 1 : at - 1);
        return this.host.decide(index, false);
      case 'x':
      case 'X':
        // Its neighbour takes the focus: this card goes away.
        go(at + 1 < items.length ? at + 1 : at - 1);
        return this.host.decide(index, !this.showsKept);
    }
  }
}

function headingOf(title: string, cards: number): (Node | string)[] {
  return [title, ' ', h('span', { class: 'count' }, number(cards))];
}

/** What was left out, by reason, most frequent first. */
function leftOut({ rejected }: Manifest): Group[] {
  const groups = new Map<Reason, Rejected[]>();
  for (const one of rejected) {
    const group = groups.get(one.reason) ?? [];
    group.push(one);
    groups.set(one.reason, group);
  }
  const sorted = [...groups].sort(([, a], [, b]) => b.length - a.length);
  return sorted.map(([reason, cards]) => ({ title: T.gallery.reasons[reason], cards: cards.map(({ index, time_s }) => ({ index, time_s, kept: undefined })) }));
}
