/** What is saved, where to, and about how much it is. */

import { DATASETS, DEFAULT_OPTIONS, type Dataset, type Manifest, type Options } from 'framesift';
import { T } from '../text';
import { h } from './dom';

export type Formats = Pick<Options, 'format' | 'quality' | 'crops' | 'folders'> & { also?: Dataset[]; names?: string; max_side_px?: number };

export interface ExportHost {
  /** Another format: names in the manifest follow. */
  changed(): void;
  save(folder?: FileSystemDirectoryHandle): void;
}

/** Bytes of a pixel in a file, as JPEG 92, PNG and WebP 92 of video frames have them; for the estimate. */
const BYTES_PER_PIXEL = { jpg: 0.22, png: 1.5, webp: 0.13 };
/** Size of files of other qualities as a share of those of 92: quality and share. */
const SIZES: [number, number][] = [[1, 0.2], [30, 0.3], [60, 0.42], [80, 0.6], [92, 1], [100, 2.4]];
/** Margin of a loose face, as in `src/still.rs`. */
const FACE_MARGIN = 1.6;

declare global {
  interface Window {
    /** File System Access, where there is one. */
    showDirectoryPicker?: (options: { mode: 'readwrite' }) => Promise<FileSystemDirectoryHandle>;
  }
}

export class ExportPanel {
  readonly element: HTMLElement;
  readonly zip: HTMLButtonElement;
  private readonly folder: HTMLButtonElement;
  private readonly format = select('format', ['jpg', 'webp', 'png'], T.export.formats, () => this.host.changed());
  private readonly quality = number('quality', 1, 100, () => this.host.changed());
  private readonly qualityHint = h('p', { class: 'hint', id: 'hint-quality' }, T.export.qualityHint);
  private readonly qualityField: HTMLElement;
  private readonly maxSide = number('max-side', 16, 65535, () => this.host.changed());
  private readonly maxSideHint = h('p', { class: 'hint', id: 'hint-max-side' }, T.export.maxSideHint);
  private readonly crops = select('crops', ['loose', 'arcface112', 'ffhq512', 'none'], T.export.cropKinds, () => this.host.changed());
  private readonly folders = select('folders', ['flat', 'scene', 'person'], T.export.folderKinds, () => this.host.changed());
  /** How files are called. What makes no sense is told beside it, and counts as empty. */
  private readonly names = h('input', {
    type: 'text',
    id: 'option-names',
    maxlength: 100,
    autocomplete: 'off',
    spellcheck: 'false',
    placeholder: '{index}_{time}s',
    'aria-describedby': 'hint-names',
    onchange: () => this.host.changed(),
  });
  private readonly namesHint = h('p', { class: 'hint', id: 'hint-names' }, T.export.namesHint);
  private readonly also: { name: Dataset; input: HTMLInputElement }[];
  private readonly said = h('p', { class: 'hint', id: 'saved', role: 'status' });
  private readonly estimate = h('p', { class: 'hint', id: 'estimate' });

  constructor(private readonly host: ExportHost) {
    this.zip = h('button', { type: 'button', class: 'primary', id: 'download', onclick: () => host.save() }, T.export.zip);
    this.folder = h('button', { type: 'button', class: 'secondary', id: 'save-folder', hidden: !window.showDirectoryPicker, onclick: () => this.toFolder() }, T.export.folder);
    this.also = DATASETS.map((name) => ({
      name,
      input: h('input', { type: 'checkbox', id: `also-${name}`, onchange: () => host.changed() }),
    }));
    const field = (input: HTMLElement, label: string, hint?: HTMLElement) => h('div', { class: 'field' }, h('label', { for: input.id }, label), input, hint);
    this.quality.value = String(DEFAULT_OPTIONS.quality);
    this.quality.required = true;
    this.qualityField = field(this.quality, T.export.quality, this.qualityHint);
    this.element = h(
      'section',
      { class: 'panel', 'aria-labelledby': 'export-title' },
      h('h2', { id: 'export-title' }, T.export.title),
      h('div', { class: 'actions' }, this.zip, this.folder),
      this.estimate,
      this.said,
      h(
        'details',
        {},
        h('summary', {}, T.export.more),
        h(
          'div',
          { class: 'options' },
          field(this.format, T.export.format),
          this.qualityField,
          field(this.maxSide, T.export.maxSide, this.maxSideHint),
          field(this.crops, T.export.crops),
          field(this.folders, T.export.folders),
          field(this.names, T.export.names, this.namesHint),
          h(
            'fieldset',
            { class: 'field checks' },
            h('legend', {}, T.export.also),
            ...this.also.map(({ name, input }) => h('label', { for: input.id }, input, ` ${T.export.alsoKinds[name]}`)),
          ),
        ),
      ),
    );
  }

  read(): Formats {
    const also = this.also.filter(({ input }) => input.checked).map(({ name }) => name);
    const names = this.names.value.trim();
    const wrong = wrongNames(names);
    this.names.setAttribute('aria-invalid', String(wrong !== ''));
    this.namesHint.textContent = wrong || T.export.namesHint;
    const quality = given(this.quality);
    this.qualityHint.textContent = quality === undefined ? T.export.qualityWrong(DEFAULT_OPTIONS.quality) : T.export.qualityHint;
    const maxSide = given(this.maxSide);
    this.maxSideHint.textContent = this.maxSide.validity.valid ? T.export.maxSideHint : T.export.maxSideWrong;
    this.qualityField.hidden = this.format.value === 'png';
    return {
      format: this.format.value as Options['format'],
      quality: quality ?? DEFAULT_OPTIONS.quality,
      ...(maxSide !== undefined && { max_side_px: maxSide }),
      crops: this.crops.value as Options['crops'],
      folders: this.folders.value as Options['folders'],
      ...(names && !wrong && { names }),
      ...(also.length > 0 && { also }),
    };
  }

  /** What is not said is as usual. */
  write({ format, quality = DEFAULT_OPTIONS.quality, max_side_px, crops, folders, names = '', also = [] }: Partial<Formats>): void {
    this.names.value = names;
    this.quality.value = String(quality);
    this.maxSide.value = String(max_side_px ?? '');
    this.format.value = format ?? DEFAULT_OPTIONS.format;
    this.crops.value = crops ?? DEFAULT_OPTIONS.crops;
    this.folders.value = folders ?? DEFAULT_OPTIONS.folders;
    for (const { name, input } of this.also) input.checked = also.includes(name);
    this.qualityField.hidden = this.format.value === 'png';
  }

  /** What came of saving. */
  say(text: string): void {
    this.said.textContent = text;
  }

  show(manifest: Manifest): void {
    this.said.textContent = '';
    const { frames, options, video } = manifest;
    const bytes = BYTES_PER_PIXEL[options.format] * (options.format === 'png' ? 1 : sizeOf(options.quality));
    // Smaller in both directions.
    const scale = Math.min(1, (options.max_side_px ?? Infinity) / Math.max(video.width, video.height));
    const faces = frames.flatMap((frame) => frame.faces).filter((face) => face.crop);
    const side = { none: () => 0, arcface112: () => 112, ffhq512: () => 512, loose: (w: number, hgt: number) => FACE_MARGIN * Math.max(w, hgt) };
    const pixels = frames.length * video.width * video.height * scale ** 2;
    const facePixels = faces.reduce((sum, { bbox: [, , w, hgt] }) => sum + side[options.crops](w, hgt) ** 2, 0);
    const number = {
      imagefolder: faces.length > 0 ? 2 : 1,
      coco: 1,
      yolo: frames.length + 1,
      csv: 1,
      contact: sheets(frames.length, video),
    } satisfies Record<Dataset, number>;
    const vectors = options.embeddings && frames.some((frame) => frame.faces.length > 0) ? 1 : 0;
    const tables = 2 + vectors + (options.also ?? []).reduce((sum, name) => sum + number[name], 0);
    // Faces are kept with more quality than frames.
    this.estimate.textContent = T.export.estimate(frames.length + faces.length + tables, bytes * (pixels + 1.8 * facePixels));
    this.zip.disabled = frames.length === 0;
    this.folder.disabled = frames.length === 0;
  }

  private async toFolder(): Promise<void> {
    try {
      const folder = await window.showDirectoryPicker?.({ mode: 'readwrite' });
      if (folder) this.host.save(folder);
    } catch {
      // Closed without choosing.
    }
  }
}

/** Between the points of `SIZES`. */
function sizeOf(quality: number): number {
  const next = Math.max(1, SIZES.findIndex(([at]) => quality <= at));
  const [[from, low], [to, high]] = [SIZES[next - 1] ?? [1, 1], SIZES[next] ?? [100, 1]];
  return low + ((high - low) * (quality - from)) / (to - from);
}

/** What is wrong with a template of names, as `src/naming.rs` sees it; empty where nothing is. */
function wrongNames(template: string): string {
  const places = [...template.matchAll(/\{([^}]*)\}/g)].map(([, place]) => place ?? '');
  const unknown = places.find((place) => !['index', 'time', 'scene', 'person', 'video'].includes(place));
  if (unknown !== undefined) return T.export.namesUnknown(unknown);
  if (new Set(places).size < places.length) return T.export.namesTwice;
  return template === '' || places.includes('index') || places.includes('time') ? '' : T.export.namesSame;
}

/** How many contact sheets there will be; as in `src/contact.rs`. */
function sheets(frames: number, { width, height }: Manifest['video']): number {
  const scale = Math.min(1, 320 / Math.max(width, height));
  const fit = (whole: number, part: number) => Math.max(1, Math.floor(whole / part));
  const [columns, rows] = [fit(2000, Math.round(width * scale) + 8), fit(1600, Math.round(height * scale) + 29)];
  return Math.ceil(frames / (columns * rows));
}

/** What a field of numbers says; nothing where it is empty or wrong, which it shows. */
function given(input: HTMLInputElement): number | undefined {
  input.setAttribute('aria-invalid', String(!input.validity.valid));
  return input.validity.valid && input.value !== '' ? input.valueAsNumber : undefined;
}

function number(name: string, min: number, max: number, onChange: () => void): HTMLInputElement {
  return h('input', { type: 'number', id: `option-${name}`, name, min, max, step: 1, inputmode: 'numeric', 'aria-describedby': `hint-${name}`, onchange: onChange });
}

function select<K extends string>(name: string, values: K[], texts: Record<K, string>, onChange: () => void): HTMLSelectElement {
  return h(
    'select',
    { id: `option-${name}`, name, onchange: onChange },
    ...values.map((value) => h('option', { value }, texts[value])),
  );
}
