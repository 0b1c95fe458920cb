/** The page: one column of steps — choose a file, look at it, run, look at the result. */

import { loadAssets, lockNetwork } from './assets';
import { Engine } from './engine';
import type { Manifest } from './manifest';
import type { Failure, FromJob, Progress, VideoFacts } from './protocol';
import { bytesText, count, etaText, h, timeText } from './ui/dom';
import { optionsForm } from './ui/options';
import { type Gallery, gallery, leftOut, summary, timeline } from './ui/results';

/** Pictures shown while the job runs. */
const STRIP_LENGTH = 12;

type State = 'loading' | 'idle' | 'opening' | 'ready' | 'running' | 'done' | 'exporting';

const app = document.getElementById('app') as HTMLElement;
const thumbnails = new Map<number, Blob>();
let engine: Engine | undefined;
let state: State = 'loading';
let shownGallery: Gallery | undefined;
let started_ms = 0;

// --- the page's parts -------------------------------------------------------

const privacy = h('p', { class: 'privacy', id: 'privacy' }, 'Loading the page’s own files …');
const fileInput = h('input', {
  type: 'file',
  id: 'file',
  class: 'visually-hidden',
  accept: 'video/*,.mp4,.m4v,.mov,.mkv,.webm,.ts,.mts,.m2ts',
  onchange: () => fileInput.files?.[0] && open(fileInput.files[0]),
});
const drop = h(
  'label',
  { class: 'drop', for: 'file' },
  h('strong', {}, 'Choose a video'),
  h('span', {}, 'or drop it here. MP4, MOV, MKV, WebM, TS'),
);
const facts = h('dl', { class: 'facts-list' });
const form = optionsForm((options) => {
  if (state === 'done') engine?.select(options);
});
const start = h('button', { type: 'button', class: 'primary', id: 'start', onclick: run }, 'Start');
const cancel = h('button', { type: 'button', class: 'secondary', id: 'cancel', onclick: () => engine?.cancel() }, 'Cancel');
const bar = h('progress', { id: 'progress', 'aria-label': 'Progress', max: 1, value: 0 });
const progressText = h('p', { class: 'progress-text' });
const strip = h('div', { class: 'strip', 'aria-hidden': 'true' });
const message = h('div', { class: 'message', role: 'alert', id: 'failure' });
const status = h('p', { class: 'visually-hidden', role: 'status', 'aria-live': 'polite' });
const results = h('div', { class: 'results' });
const download = h('button', { type: 'button', class: 'primary', id: 'download', onclick: exportZip }, 'Download ZIP');
const exportText = h('p', { class: 'hint' });

const startRow = h('div', { class: 'actions' }, start);
const choose = h('section', { class: 'choose', 'aria-label': 'Video' }, fileInput, drop, facts);
const settings = h('section', { 'aria-labelledby': 'settings-title' }, h('h2', { id: 'settings-title' }, 'Options'), form.element, startRow);
const running = h(
  'section',
  { 'aria-labelledby': 'running-title' },
  h('h2', { id: 'running-title', tabindex: -1 }, 'Working'),
  bar,
  progressText,
  strip,
  h('div', { class: 'actions' }, cancel),
);
const done = h(
  'section',
  { 'aria-labelledby': 'done-title', id: 'done' },
  h('h2', { id: 'done-title', tabindex: -1 }, 'Result'),
  h('div', { class: 'actions' }, download, exportText),
  results,
);

app.append(
  h(
    'header',
    {},
    h('h1', {}, 'framesift'),
    h('p', { class: 'tagline' }, 'A good set of stills of the people in a video.'),
    privacy,
  ),
  h('main', {}, choose, message, settings, running, done, status),
);

// --- state --------------------------------------------------------------------

function enter(next: State): void {
  state = next;
  document.body.dataset['state'] = next;
  const busy = next === 'running' || next === 'exporting';
  facts.hidden = facts.childElementCount === 0;
  settings.hidden = !(next === 'ready' || next === 'done');
  startRow.hidden = next === 'done';
  running.hidden = !busy;
  done.hidden = next !== 'done';
  fileInput.disabled = next === 'loading' || busy;
  drop.classList.toggle('disabled', fileInput.disabled);
  drop.classList.toggle('small', next !== 'idle' && next !== 'loading');
  form.setScanned(next === 'done');
}

function fail({ title, advice }: Failure): void {
  message.replaceChildren(h('p', {}, h('strong', {}, title)), h('p', {}, advice));
}

function open(file: File): void {
  if (!engine || fileInput.disabled) return;
  message.replaceChildren();
  facts.replaceChildren();
  enter('opening');
  engine.open(file);
}

function run(): void {
  if (!engine || !form.element.reportValidity()) return;
  message.replaceChildren();
  strip.replaceChildren();
  thumbnails.clear();
  started_ms = performance.now();
  enter('running');
  document.getElementById('running-title')?.focus();
  showProgress({ stage: 'count', done: 0, total: 0, candidates: 0, analysed: 0 });
  engine.scan(form.read());
}

function exportZip(): void {
  if (!engine || !form.element.reportValidity()) return;
  started_ms = performance.now();
  enter('exporting');
  showProgress({ stage: 'export', done: 0, total: 0, candidates: 0, analysed: 0 });
  engine.export(form.read());
}

// --- what the job says ----------------------------------------------------------

function receive(data: FromJob): void {
  switch (data.type) {
    case 'ready':
      privacy.title = data.device;
      break;
    case 'opened':
      showFacts(data.facts);
      enter('ready');
      start.focus();
      break;
    case 'progress':
      if (state === 'running' || state === 'exporting') showProgress(data.progress);
      break;
    case 'candidate':
      thumbnails.set(data.index, new Blob([data.thumbnail], { type: 'image/jpeg' }));
      void addToStrip(data.index);
      break;
    case 'selected':
      document.body.dataset['wasmMemoryBytes'] = String(data.wasm_memory_bytes);
      // A change of the options must not take the user out of the form.
      showResult(data.manifest, state !== 'done');
      break;
    case 'exported':
      enter('done');
      save(data.zip, data.manifest);
      break;
    case 'cancelled':
      status.textContent = 'Cancelled.';
      enter(shownGallery && state === 'exporting' ? 'done' : 'ready');
      break;
    case 'failed':
      fail(data.failure);
      enter(state === 'running' ? 'ready' : state === 'exporting' ? 'done' : 'idle');
      break;
  }
}

function showFacts(f: VideoFacts): void {
  const rows: [string, string][] = [
    ['File', f.name],
    ['Size', bytesText(f.size_bytes)],
    ['Length', timeText(f.duration_s, 1)],
    ['Picture', `${f.width} × ${f.height}${f.rotation_deg ? `, turned ${f.rotation_deg}°` : ''}`],
    ['Frame rate', `${f.frames_per_s.toFixed(2)} per s`],
    ['Format', `${f.container}, ${f.codec}`],
  ];
  facts.replaceChildren(...rows.map(([name, value]) => h('div', {}, h('dt', {}, name), h('dd', {}, value))));
}

const STAGES: Record<Progress['stage'], string> = {
  count: 'Counting frames',
  scan: 'Decoding and sampling',
  again: 'Taking a second look',
  faces: 'Finishing face analysis',
  export: 'Writing frames at full quality',
};

function showProgress({ stage, done: finished, total, candidates }: Progress): void {
  const elapsed_s = (performance.now() - started_ms) / 1000;
  const share = total > 0 ? finished / total : 0;
  if (total > 0) bar.value = share;
  else bar.removeAttribute('value');
  const rate = finished / Math.max(elapsed_s, 0.1);
  const parts = [STAGES[stage]];
  if (total > 0) parts.push(`${finished.toLocaleString('en')} of ${count(total, stage === 'faces' ? 'candidate' : 'frame')}`);
  if (stage === 'scan' && finished > 0) parts.push(`${rate.toFixed(0)} frames per s`, count(candidates, 'candidate'));
  if (total > 0 && finished > 0 && finished < total && elapsed_s > 1 && (stage === 'scan' || stage === 'export')) parts.push(etaText((total - finished) / rate));
  progressText.textContent = parts.join(' · ');
  const tenth = Math.floor(share * 10);
  if (status.dataset['tenth'] !== `${stage}${tenth}`) {
    status.dataset['tenth'] = `${stage}${tenth}`;
    status.textContent = `${STAGES[stage]}: ${tenth * 10} %`;
  }
}

/**
 * The latest candidates while the job runs: the user sees that it works, and on
 * what. The same few canvases are drawn over and over: Chromium keeps the pixels
 * of every image element it has ever shown.
 */
async function addToStrip(index: number): Promise<void> {
  const blob = thumbnails.get(index);
  if (!blob || state !== 'running') return;
  const picture = await createImageBitmap(blob).catch(() => null);
  if (!picture) return;
  const free = strip.childElementCount < STRIP_LENGTH ? document.createElement('canvas') : strip.lastElementChild;
  if (!(free instanceof HTMLCanvasElement)) return;
  free.width = picture.width;
  free.height = picture.height;
  free.getContext('bitmaprenderer')?.transferFromImageBitmap(picture);
  strip.prepend(free);
}

function showResult(manifest: Manifest, first: boolean): void {
  enter('done');
  shownGallery?.dispose();
  const shown = gallery(manifest, thumbnails);
  shownGallery = shown;
  const open = !first && results.querySelector('details')?.open === true;
  results.replaceChildren(summary(manifest), timeline(manifest, shown.showScene), leftOut(manifest, open), shown.element);
  exportText.textContent = `${count(manifest.frames.length, 'frame')}, their faces and manifest.json`;
  download.disabled = manifest.frames.length === 0;
  status.textContent = `Done: ${count(manifest.frames.length, 'frame')} kept.`;
  if (first) document.getElementById('done-title')?.focus({ preventScroll: true });
}

function save(zip: Blob, manifest: Manifest): void {
  const url = URL.createObjectURL(zip);
  const stem = manifest.video.name.replace(/\.[^.]+$/, '') || 'video';
  const link = h('a', { href: url, download: `${stem}-framesift.zip` });
  link.click();
  // The browser has taken its own reference by the time of the next job.
  setTimeout(() => URL.revokeObjectURL(url), 60_000);
  status.textContent = `Saved ${bytesText(zip.size)}.`;
}

// --- start ----------------------------------------------------------------------

for (const name of ['dragover', 'drop'] as const) {
  window.addEventListener(name, (event) => {
    event.preventDefault();
    const file = event.dataTransfer?.files[0];
    if (name === 'drop' && file) open(file);
    document.body.classList.toggle('dragging', name === 'dragover' && !fileInput.disabled);
  });
}
window.addEventListener('dragleave', () => document.body.classList.remove('dragging'));
window.addEventListener('beforeunload', (event) => {
  if (state === 'running' || state === 'exporting') event.preventDefault();
});

enter('loading');
if (typeof VideoDecoder === 'undefined') {
  fail({
    title: 'This browser cannot decode video for web pages (it lacks WebCodecs).',
    advice: 'Use a current Chrome, Edge, Firefox or Safari. The page must be opened over https or from localhost.',
  });
} else {
  try {
    const assets = await loadAssets();
    lockNetwork();
    engine = new Engine(assets, receive);
    privacy.textContent = 'Your video stays in this tab: the page has closed its own network access and works offline.';
    enter('idle');
  } catch (error) {
    fail({
      title: `The page’s own files could not be loaded (${error instanceof Error ? error.message : String(error)}).`,
      advice: 'Check the connection and reload the page.',
    });
  }
}
