/** Options as a link's fragment, which browsers send nowhere, and as the command's config file. */

import { DATASETS, DEFAULT_OPTIONS, FLAGS, type Flag, type Options } from 'framesift';
import type { Formats } from './ui/export';
import type { Settings } from './ui/options';

/** Only what is not as usual. Workers go with the machine, and identity vectors are nothing to be asked for by a link. */
export function toFragment(options: Options): string {
  const parts = new URLSearchParams();
  const usual = DEFAULT_OPTIONS;
  if (options.budget !== usual.budget) parts.set('budget', String(options.budget));
  if (options.faces !== usual.faces) parts.set('faces', options.faces);
  if (options.similarity !== usual.similarity) parts.set('similarity', String(options.similarity));
  if (options.min_face_px !== usual.min_face_px) parts.set('min-face', String(options.min_face_px));
  if (options.sensitivity !== usual.sensitivity) parts.set('sensitivity', options.sensitivity);
  if (options.detector.name !== usual.detector.name) parts.set('detector', options.detector.name);
  if (options.detector.threshold !== undefined) parts.set('threshold', String(options.detector.threshold));
  if (String(options.face_gates) !== String(usual.face_gates)) parts.set('gates', options.face_gates.join(' '));
  if (options.batch !== usual.batch) parts.set('batch', String(options.batch));
  for (const name of ['format', 'crops', 'folders'] as const) {
    if (options[name] !== usual[name]) parts.set(name, options[name]);
  }
  if (options.quality !== usual.quality) parts.set('quality', String(options.quality));
  if (options.max_side_px) parts.set('max-side', String(options.max_side_px));
  if (options.names) parts.set('names', options.names);
  if (options.also?.length) parts.set('also', options.also.join(' '));
  return parts.toString();
}

/** What a fragment says, as far as it makes sense: it may come from anywhere. */
export function fromFragment(fragment: string): { settings: Partial<Settings>; formats: Partial<Formats> } {
  const parts = new URLSearchParams(fragment.replace(/^#/, ''));
  const settings: Partial<Settings> = {};
  const formats: Partial<Formats> = {};
  const number = (name: string, least: number, most: number) => {
    const value = Number(parts.get(name) || Number.NaN);
    return value >= least && value <= most ? value : undefined;
  };
  const oneOf = <K extends string>(name: string, values: readonly K[]) => values.find((value) => value === parts.get(name));
  const budget = number('budget', 1, 100000);
  const similarity = number('similarity', 0, 1);
  const minFace = number('min-face', 0, 10000);
  const faces = oneOf('faces', ['prefer', 'require', 'ignore']);
  const sensitivity = oneOf('sensitivity', ['low', 'normal', 'high']);
  const detector = oneOf('detector', ['default', 'adaptive', 'content', 'hash', 'hist', 'threshold']);
  const threshold = number('threshold', 0, 1e6);
  if (budget !== undefined) settings.budget = Math.round(budget);
  if (similarity !== undefined) settings.similarity = similarity;
  if (minFace !== undefined) settings.min_face_px = Math.round(minFace);
  if (faces) settings.faces = faces;
  if (sensitivity) settings.sensitivity = sensitivity;
  if (detector) settings.detector = { name: detector, ...(detector !== 'default' && threshold !== undefined && { threshold }) };
  const gates = parts.get('gates');
  if (gates !== null) settings.face_gates = FLAGS.filter((flag: Flag) => gates.split(' ').includes(flag));
  const batch = number('batch', 1, 500);
  if (batch !== undefined) settings.batch = Math.round(batch);
  const format = oneOf('format', ['jpg', 'webp', 'png']);
  const crops = oneOf('crops', ['loose', 'arcface112', 'ffhq512', 'none']);
  const folders = oneOf('folders', ['flat', 'scene', 'person']);
  const also = parts.get('also')?.split(' ');
  const quality = number('quality', 1, 100);
  const maxSide = number('max-side', 16, 65535);
  if (format) formats.format = format;
  if (quality !== undefined) formats.quality = Math.round(quality);
  if (maxSide !== undefined) formats.max_side_px = Math.round(maxSide);
  if (crops) formats.crops = crops;
  if (folders) formats.folders = folders;
  const names = parts.get('names');
  if (names) formats.names = names;
  if (also) formats.also = DATASETS.filter((name) => also.includes(name));
  return { settings, formats };
}

/** TOML for `framesift --config`. What the command has no flag for is left out. */
export function toConfig(options: Options): string {
  const { name } = options.detector;
  const lines = [
    `budget = ${options.budget}`,
    `faces = "${options.faces}"`,
    `similarity = ${options.similarity}`,
    `min-face = ${options.min_face_px}`,
    name === 'default' ? `sensitivity = "${options.sensitivity}"` : `detector = "${name}"`,
    `format = "${options.format}"`,
    `quality = ${options.quality}`,
    ...(options.max_side_px ? [`max-side = ${options.max_side_px}`] : []),
    `crops = "${options.crops}"`,
    `folders = "${options.folders}"`,
    ...(options.names ? [`names = ${JSON.stringify(options.names)}`] : []),
    ...(options.also?.length ? [`also = [${options.also.map((also) => `"${also}"`).join(', ')}]`] : []),
    `batch = ${options.batch}`,
    `workers = ${options.workers}`,
    `embeddings = ${options.embeddings}`,
  ];
  return `${lines.join('\n')}\n`;
}
