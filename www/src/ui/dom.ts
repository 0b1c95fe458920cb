/** Small helpers to build the page without a framework. */

type Child = Node | string | null | undefined | false;
type Attributes = Record<string, string | number | boolean | undefined | ((event: never) => void)>;

/** `h('button', { class: 'primary', onclick: run }, 'Start')` */
export function h<K extends keyof HTMLElementTagNameMap>(
  tag: K,
  attributes: Attributes = {},
  ...children: Child[]
): HTMLElementTagNameMap[K] {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (value === undefined || value === false) continue;
    if (typeof value === 'function') element.addEventListener(name.slice(2), value as EventListener);
    else element.setAttribute(name, value === true ? '' : String(value));
  }
  element.append(...children.filter((c): c is Node | string => c !== null && c !== undefined && c !== false));
  return element;
}

/** Places an element along a strip, in shares of its width. */
export function place(element: HTMLElement, left: number, width?: number): void {
  element.style.setProperty('left', `${100 * left}%`);
  if (width !== undefined) element.style.setProperty('width', `${100 * width}%`);
}

/** A rectangle over a picture. */
export function frameBox(box: HTMLElement, [x, y, w, h]: readonly [number, number, number, number], of: { width: number; height: number }): void {
  const percent = (name: string, value: number, whole: number) => box.style.setProperty(name, `${(100 * value) / whole}%`);
  percent('left', x, of.width);
  percent('top', y, of.height);
  percent('width', w, of.width);
  percent('height', h, of.height);
}

/** Addresses of blobs, made once each and freed together. */
export class BlobUrls {
  private readonly urls = new Map<Blob, string>();

  of(blob: Blob): string {
    let url = this.urls.get(blob);
    if (!url) {
      url = URL.createObjectURL(blob);
      this.urls.set(blob, url);
    }
    return url;
  }

  clear(): void {
    for (const url of this.urls.values()) URL.revokeObjectURL(url);
    this.urls.clear();
  }
}

/**
 * Of many things to choose from only one is reached by Tab: the first, or the one that had the focus last
 * (roving tabindex, WAI-ARIA Authoring Practices 1.2). Their buttons are made with `tabindex: -1`.
 */
export class Roving {
  private current: HTMLElement | null = null;

  constructor(
    private readonly container: HTMLElement,
    private readonly items: string,
  ) {
    container.addEventListener('focusin', (event) => this.reach((event.target as HTMLElement).closest<HTMLElement>(items)));
  }

  /** After the things have changed. */
  update(): void {
    if (!this.current || !this.container.contains(this.current)) this.reach(this.container.querySelector<HTMLElement>(this.items));
  }

  private reach(item: HTMLElement | null): void {
    if (!item) return;
    const buttons = (of: HTMLElement) => (of instanceof HTMLButtonElement ? [of] : [...of.querySelectorAll('button')]);
    if (this.current) for (const button of buttons(this.current)) button.tabIndex = -1;
    for (const button of buttons(item)) button.tabIndex = 0;
    this.current = item;
  }
}
