/** The page: choose a file, look at it, run, review, save. */

import {
  type Candidate, DEFAULT_OPTIONS, type Edits, Engine, type Failure, type FromJob, type Manifest,
  type Options, type VideoFacts, load,
} from 'framesift';
import { givenName, personName, personNumber, really, usualName, withPerson } from './edits';
import { History } from './history';
import { cached, describeApp, keepForOffline } from './offline';
import { AskedPhotos, type Who } from './photos';
import { Pictures, wasPassedOver } from './pictures';
import { lockNetwork } from './privacy';
import { fromFragment, toConfig, toFragment } from './share';
import { T, bytesText, timeText } from './text';
import { Changes } from './ui/changes';
import { h } from './ui/dom';
import { ExportPanel } from './ui/export';
import { Gallery } from './ui/gallery';
import { optionsForm } from './ui/options';
import { People } from './ui/people';
import { Queue, keptText } from './ui/queue';
import { RunPanel } from './ui/run';
import { StartRow, keptScans } from './ui/start';
import { summary } from './ui/summary';
import { Timeline } from './ui/timeline';
import { Viewer } from './ui/viewer';

type State = 'loading' | 'idle' | 'opening' | 'ready' | 'running' | 'done' | 'exporting';

const app = document.getElementById('app') as HTMLElement;
let engine: Engine | undefined;
let state: State = 'loading';
/** What the user has before a scan, after it, and after every change. */
let manifest: Manifest | undefined;
let edits: Edits = {};
const photos = new AskedPhotos();
/** The file that is open or being opened, and the number of that request. */
let file: File | undefined;
let opening = 0;
let [start_s, duration_s] = [0, 0];
const pictures = new Pictures((indices) => engine?.pictures(indices));
const history = new History<Options>();

// --- the page's parts -------------------------------------------------------

const privacyText = h('span', {}, T.privacy.loading);
const privacy = h(
  'details',
  { class: 'privacy', id: 'privacy' },
  h('summary', {}, privacyText),
  h('div', { class: 'privacy-text' }, h('p', {}, h('strong', {}, T.privacy.title)), ...T.privacy.text.map((text) => h('p', {}, text))),
);
const fileInput = h('input', {
  type: 'file',
  id: 'file',
  class: 'visually-hidden',
  accept: 'video/*,.mp4,.m4v,.mov,.mkv,.webm,.ts,.mts,.m2ts,application/json,.json',
  multiple: true,
  onchange: () => {
    take([...(fileInput.files ?? [])]);
    // So that the same file can be chosen again, for another scan.
    fileInput.value = '';
  },
});
const dropTitle = h('strong', {}, T.drop.choose);
const drop = h('label', { class: 'drop', for: 'file' }, dropTitle, h('span', {}, T.drop.hint));
const points = h('ul', { class: 'points' }, ...T.drop.points.map(([title, text]) => h('li', {}, h('strong', {}, title), h('span', {}, text))));
const queue = new Queue({ open, saveAll });
const facts = h('dl', { class: 'facts-list', 'aria-label': T.facts.label });
const kept = keptScans({ forget: (id) => engine?.forget(id) }, fileInput);
const message = h('div', { class: 'message', role: 'alert', id: 'failure' });
const note = h('p', { class: 'note', id: 'note', role: 'status', hidden: true });
const status = h('p', { class: 'visually-hidden', role: 'status', 'aria-live': 'polite' });

const form = optionsForm(
  () => changed(true),
  () => {
    history.close();
    pulling = false;
  },
);
/** Whether a slider is being pulled, and the result before that, or before the last other change. */
let pulling = false;
let compared: Manifest | undefined;
const changes = new Changes({ thumbnail: (index) => pictures.thumbnail(index), open: (index) => manifest && viewer.open(manifest, index) });
const shareText = h('p', { class: 'hint', role: 'status' });
const share = h(
  'div',
  { class: 'share' },
  h('button', { type: 'button', class: 'link', id: 'copy-link', onclick: copyLink }, T.settings.link),
  h('button', { type: 'button', class: 'link', id: 'save-config', onclick: saveConfig }, T.settings.config),
  shareText,
);
const startRow = new StartRow({ run, forget: () => engine?.forget() });
const settings = h('section', { class: 'panel settings', 'aria-labelledby': 'settings-title' }, h('h2', { id: 'settings-title', tabindex: -1 }, T.settings.title), form.element, changes.element, share, startRow.element);

const liveTimeline = new Timeline(() => undefined);
const running = new RunPanel({ pause: (paused) => engine?.pause(paused), cancel }, status, liveTimeline.element);

const undo = h('button', { type: 'button', class: 'secondary', id: 'undo', onclick: () => travel('undo') }, T.result.undo);
const redo = h('button', { type: 'button', class: 'secondary', id: 'redo', onclick: () => travel('redo') }, T.result.redo);
const summaryBox = h('div', { class: 'summary' });
const gallery = new Gallery({
  thumbnail: (index) => pictures.thumbnail(index),
  personName: (person) => personName(edits, person),
  personTag: (person) => givenName(edits, person) ?? personNumber(edits, person),
  decided: (index) => (edits.include?.includes(index) ? true : edits.exclude?.includes(index) ? false : undefined),
  open: (index) => manifest && viewer.open(manifest, index),
  decide,
  leftOutShown: () => fetchPictures(),
});
const timeline = new Timeline((scene) => gallery.showScene(scene));
const people = new People({
  portrait: (index, face) => pictures.portrait(index, face),
  personName: (person) => personName(edits, person),
  only: () => [...new Set((edits.only_people ?? []).map((person) => really(edits, person)))],
  setOnly: (person, only) => {
    const others = (edits.only_people ?? []).filter((other) => really(edits, other) !== person);
    edit({ only_people: only ? [...others, person] : others });
  },
  everyone: () => edit({ only_people: [] }),
  without: () => [...new Set((edits.without_people ?? []).map((person) => really(edits, person)))],
  setWithout: (person, without) => {
    const others = (edits.without_people ?? []).filter((other) => really(edits, other) !== person);
    edit({ without_people: without ? [...others, person] : others });
  },
  rename: (person, name) => edit({ people: withPerson(edits.people ?? [], person, name === '' ? {} : { name }, 'name') }),
  usualName: (person) => usualName(edits, person),
  split: (person) => edit({ split: [...(edits.split ?? []), person] }),
  join: (person, into) => {
    const name = into !== undefined && givenName(edits, into) === undefined ? givenName(edits, person) : undefined;
    const joined = withPerson(edits.people ?? [], person, into === undefined ? {} : { same_as: into }, 'same_as');
    // A name that was given is not lost.
    edit({ people: name === undefined || into === undefined ? joined : withPerson(joined, into, { name }, 'name') });
  },
  joined: () => (edits.people ?? []).flatMap(({ id, same_as }) => (same_as === undefined ? [] : [{ id, into: same_as }])),
  open: (index) => manifest && viewer.open(manifest, index),
  lookFor: (files) => byPhotos('reference', files),
  lookingFor: () => photos.names('reference'),
  avoid: (files) => byPhotos('avoid', files),
  avoiding: () => photos.names('avoid'),
});
const viewer = new Viewer({
  thumbnail: (index) => pictures.thumbnail(index),
  personName: (person) => personName(edits, person),
  request: (index) => engine?.frame(index),
  decide,
  closed: (index) => gallery.focusNear(index),
});
const exporting = new ExportPanel({ changed: () => changed(false), save });
const done = h(
  'div',
  { class: 'review', id: 'done' },
  h(
    'section',
    { class: 'panel overview', 'aria-labelledby': 'done-title' },
    h('div', { class: 'overview-head' }, h('h2', { id: 'done-title', tabindex: -1 }, T.result.title), h('div', { class: 'row' }, undo, redo)),
    summaryBox,
    timeline.element,
  ),
  exporting.element,
  h('section', { class: 'panel main', 'aria-label': T.gallery.views }, gallery.element),
  people.element,
);

const cancelOpening = h('button', { type: 'button', class: 'secondary', id: 'cancel-opening', onclick: cancelOpen }, T.drop.cancel);
const openingRow = h('p', { class: 'opening', hidden: true }, T.drop.opening, ' ', cancelOpening);
const choose = h('section', { class: 'panel choose', 'aria-label': T.drop.choose }, fileInput, drop, openingRow, kept.element, facts);
app.append(
  h('header', {}, h('div', {}, h('h1', {}, 'framesift'), h('p', { class: 'tagline' }, T.tagline)), privacy),
  h('main', {}, choose, queue.element, points, message, note, running.element, settings, done, status, viewer.element),
);

/** The options stand below the file before a scan, and beside the result after it. */
function placeSettings(beside: boolean): void {
  if (beside === (settings.parentElement === done)) return;
  if (beside) done.append(settings);
  else done.before(settings);
}

// --- state --------------------------------------------------------------------

function enter(next: State): void {
  state = next;
  document.body.dataset['state'] = next;
  const busy = next === 'running' || next === 'exporting';
  facts.hidden = facts.childElementCount === 0;
  points.hidden = !(next === 'idle' || next === 'loading');
  settings.hidden = !(next === 'ready' || next === 'done');
  startRow.element.hidden = next === 'done';
  running.element.hidden = !busy;
  liveTimeline.element.hidden = next !== 'running';
  done.hidden = !(next === 'done' || next === 'exporting');
  done.inert = next === 'exporting';
  fileInput.disabled = busy;
  openingRow.hidden = next !== 'opening';
  queue.setBusy(busy || next === 'opening');
  drop.classList.toggle('disabled', fileInput.disabled);
  drop.classList.toggle('small', next !== 'idle' && next !== 'loading');
  dropTitle.textContent = facts.hidden ? T.drop.choose : T.drop.another;
  if (next === 'done') queueMicrotask(fetchPictures);
  placeSettings(next === 'done' || next === 'exporting');
  form.setScanned(next === 'done');
}

function fail({ title, advice }: Failure): void {
  message.replaceChildren(h('p', {}, h('strong', {}, title)), h('p', {}, advice));
}

/** Files that the user has chosen or dropped. */
function take(files: File[]): void {
  if (fileInput.disabled) return;
  const isManifest = ({ name, type }: File) => type === 'application/json' || name.endsWith('.json');
  const manifests = files.filter(isManifest);
  if (manifests[0]) {
    message.replaceChildren();
    if (engine) engine.import(manifests[0]);
    else say(T.imported.later);
  }
  const videos = files.filter((file) => !file.type.startsWith('image/') && !isManifest(file));
  const [first] = videos;
  if (!first) return;
  if (videos.length > 1 || queue.isUsed) queue.add(videos);
  open(first);
}

function open(chosen: File): void {
  if (fileInput.disabled) return;
  if (!engine) {
    // As soon as the page's own files have come.
    waiting = chosen;
    dropTitle.textContent = T.drop.waiting(chosen.name);
    return;
  }
  if (state === 'done' && history.canUndo && !saveEach && !confirm(T.leave)) return;
  message.replaceChildren();
  viewer.close();
  before = state === 'opening' ? before : { state, file };
  const mayComeBack = before.file !== undefined && queue.has(before.file);
  file = chosen;
  enter('opening');
  opening = engine.open(chosen, mayComeBack);
}

/** A set that was saved before, whose options and decisions are to be taken over by the scan of its video. */
let imported: Manifest | undefined;

/** Without decisions of its own a result takes over those of the set; with one, the user goes on with it. */
function takeOver(set: Manifest): void {
  const { options: { edits: decided = {}, reference: wanted = [], avoid: unwanted = [], ...others }, video } = set;
  const gone = [...wanted, ...unwanted];
  // How many workers there are goes with the machine.
  const { workers, batch } = form.read();
  form.write({ ...others, workers, batch });
  exporting.write(others);
  window.history.replaceState(null, '', `#${toFragment(options())}`);
  const isOpen = file !== undefined && isOf(set, file);
  const applies = isOpen && state === 'done';
  imported = applies ? undefined : set;
  const parts = [applies ? T.imported.now(video.name) : isOpen && state === 'ready' ? T.imported.ready(video.name) : T.imported.open(video.name)];
  if (gone.length > 0) parts.push(T.imported.photos(gone.join(', ')));
  say(parts.join(' '));
  if (applies) edits = decided;
  changed(false);
  if (!applies) return;
  // Frames that the scan had not thought of are decoded again.
  for (const index of decided.include ?? []) if (!wasLookedAt(index)) engine?.include(index, options());
}

function wasLookedAt(index: number): boolean {
  const isIt = (frame: { index: number }) => frame.index === index;
  return manifest !== undefined && (manifest.frames.some(isIt) || manifest.rejected.some((one) => isIt(one) && !wasPassedOver(one)));
}

function isOf({ video }: Manifest, { name, size }: File): boolean {
  return video.name === name && (video.size_bytes === undefined || video.size_bytes === size);
}

/** Something to know that is no failure. */
function say(text: string): void {
  note.textContent = text;
  note.hidden = text === '';
}

/** While all videos are done one after the other: where their files go, and which photos have yet to be applied to this one. */
let saveEach: { folder?: FileSystemDirectoryHandle; toApply: [Who, File[]][]; applying: boolean } | undefined;

/** Scans and saves all videos. One that fails does not stop the others. */
function saveAll(folder?: FileSystemDirectoryHandle): void {
  if (!form.check()) return;
  saveEach = { ...(folder && { folder }), toApply: [], applying: false };
  // With what was decided by hand.
  if (state === 'done' && file && queue.isToSave(file)) saveThis();
  else nextVideo();
}

/** Saves the video that was just scanned, with those on the photos or without them. */
function saveThis(): void {
  if (!saveEach) return;
  saveEach.toApply = photos.ofAll();
  applyNext(saveEach);
}

function applyNext(each: NonNullable<typeof saveEach>): void {
  const next = each.toApply.shift();
  each.applying = next !== undefined;
  if (next) byPhotos(...next);
  else save(each.folder);
}

function nextVideo(): void {
  if (saveEach) Object.assign(saveEach, { toApply: [], applying: false });
  const next = queue.next();
  if (next) {
    open(next);
    return;
  }
  saveEach = undefined;
  const { saved, failed } = queue.outcome();
  status.textContent = T.queue.done(saved, failed);
  queue.element.scrollIntoView({ block: 'nearest' });
}

/** Chosen before the page was ready for it. */
let waiting: File | undefined;

/** The result of the file before goes with the workers. */
function cancelOpen(): void {
  if (before.state !== 'done' || confirm(T.leave)) engine?.stop();
}

function cancel(): void {
  saveEach = undefined;
  engine?.cancel(state === 'running');
}

/** Where the page was before it began to open a file, which may fail. */
let before: { state: State; file: File | undefined } = { state: 'idle', file: undefined };

/** All that the next choice depends on. */
function options(): Options {
  const edited = Object.values(edits).some((list: unknown[]) => list.length > 0);
  return {
    ...DEFAULT_OPTIONS,
    ...form.read(),
    ...exporting.read(),
    ...photos.options(),
    ...(edited && { edits }),
  };
}

/** `goOn`: with what is kept of an earlier scan, which depends on what was asked for then. */
function run(goOn: boolean): void {
  if (goOn && startRow.asked) form.write(startRow.asked);
  if (!engine || !form.check()) return;
  message.replaceChildren();
  forget();
  say('');
  if (imported && file) {
    if (isOf(imported, file)) edits = imported.options.edits ?? {};
    else say(T.imported.other(imported.video.name));
  }
  liveTimeline.begin(start_s, duration_s);
  queue.mark(file, 'scanning');
  enter('running');
  running.begin('count');
  engine.scan(options(), { resume: goOn, keep: startRow.keeps });
}

function fetchPictures(): void {
  if (manifest && state === 'done') pictures.fetch(manifest, gallery.showsLeftOut);
}

/** Drops what belongs to the last scan. */
function forget(): void {
  pictures.clear();
  gallery.clear();
  people.clear();
  changes.clear();
  compared = undefined;
  history.clear();
  viewer.close();
  manifest = undefined;
  edits = {};
  photos.clear();
}

function save(folder?: FileSystemDirectoryHandle): void {
  if (!engine || !form.check()) return;
  message.replaceChildren();
  queue.mark(file, 'saving');
  enter('exporting');
  running.begin('export');
  engine.export(options(), folder);
}

// --- decisions ------------------------------------------------------------------

/** What was last chosen by; what `options()` was before a change. */
let chosenBy: Options = DEFAULT_OPTIONS;

/** Something in a form has changed. `going`: and may go on changing. */
function changed(going: boolean): void {
  window.history.replaceState(null, '', `#${toFragment(options())}`);
  shareText.textContent = '';
  if (state !== 'done') return;
  if (!pulling) compared = manifest;
  pulling = going;
  if (going) history.begin(chosenBy);
  else history.note(chosenBy);
  chooseAgain();
}

function chooseAgain(): void {
  message.replaceChildren();
  chosenBy = options();
  engine?.select(chosenBy);
  showHistory();
}

function edit(change: Edits): void {
  history.close();
  history.note(chosenBy);
  [compared, pulling] = [manifest, false];
  edits = { ...edits, ...change };
  chooseAgain();
}

/** Keeps a frame or leaves it out. */
function decide(index: number, keep: boolean): void {
  const without = (list: number[] | undefined) => (list ?? []).filter((other) => other !== index);
  const include = keep ? [...without(edits.include), index] : without(edits.include);
  const exclude = keep ? without(edits.exclude) : [...without(edits.exclude), index];
  if (keep && !wasLookedAt(index) && engine) {
    history.note(chosenBy);
    [compared, pulling] = [manifest, false];
    edits = { ...edits, include, exclude };
    chosenBy = options();
    engine.include(index, chosenBy);
    showHistory();
  } else {
    edit({ include, exclude });
  }
}

function byPhotos(who: Who, files: File[]): void {
  message.replaceChildren();
  photos.choose(who, files);
  [compared, pulling] = [manifest, false];
  // The photos' faces are known to the job only: this is not taken back by undo.
  history.clear();
  chosenBy = options();
  if (who === 'avoid') engine?.avoid(files, chosenBy);
  else engine?.lookFor(files, chosenBy);
  showHistory();
}

/** Takes a change back, or makes it again. */
function travel(way: 'undo' | 'redo'): void {
  const to = way === 'undo' ? history.undo(chosenBy) : history.redo(chosenBy);
  if (!to) return;
  [compared, pulling] = [undefined, false];
  form.write(to);
  exporting.write(to);
  edits = to.edits ?? {};
  window.history.replaceState(null, '', `#${toFragment(options())}`);
  chooseAgain();
}

/** Not `disabled`, which would take the focus away from who presses it. */
function showHistory(): void {
  undo.setAttribute('aria-disabled', String(!history.canUndo));
  redo.setAttribute('aria-disabled', String(!history.canRedo));
}

// --- what the job says ----------------------------------------------------------

function receive(data: FromJob): void {
  switch (data.type) {
    case 'ready':
      privacy.title = data.device;
      kept.show(data.kept);
      break;
    case 'kept':
      startRow.show(data.kept);
      break;
    case 'imported':
      if (data.failure) {
        fail(data.failure);
        message.scrollIntoView({ block: 'nearest' });
      } else if (data.manifest) takeOver(data.manifest);
      break;
    case 'unrecorded':
      fail(T.kept.unrecorded[data.because]);
      break;
    case 'pictured':
      pictures.answered(data.all);
      gallery.fillPictures();
      people.fillPictures();
      changes.fillPictures();
      fetchPictures();
      break;
    case 'opened':
      // Another file may have been chosen since.
      if (data.request !== opening) break;
      forget();
      showFacts(data.facts);
      ({ start_s, duration_s } = data.facts);
      kept.show([]);
      startRow.show(data.kept);
      enter('ready');
      queue.mark(file, 'open');
      if (saveEach) {
        run(startRow.fits(form.read()));
      } else {
        startRow.focus();
        startRow.estimating();
        engine?.estimate(options());
      }
      break;
    case 'estimated':
      if (state === 'ready') startRow.estimate(data.least_s, data.most_s);
      break;
    case 'restarted':
      // What was scanned went with the workers.
      forget();
      enter('opening');
      // The failure that follows is not the file's.
      before = { state: 'idle', file };
      if (file && engine) opening = engine.open(file, true);
      else enter('idle');
      break;
    case 'hung':
      forget();
      enter('idle');
      fail(data.failure);
      message.scrollIntoView({ block: 'nearest' });
      queue.mark(file, 'failed', data.failure.title);
      if (saveEach) nextVideo();
      break;
    case 'reading':
    case 'stuck':
      // Between the workers and the engine.
      break;
    case 'progress':
      if (state !== 'running' && state !== 'exporting') break;
      running.show(data.progress);
      liveTimeline.progress(running.share);
      break;
    case 'candidate':
      receiveCandidate(data.candidate);
      break;
    case 'scenes':
      liveTimeline.scenes(data.starts_s);
      break;
    case 'frame':
      viewer.receive(data.frame);
      break;
    case 'selected':
      document.body.dataset['choices'] = String(Number(document.body.dataset['choices'] ?? 0) + 1);
      document.body.dataset['wasmMemoryBytes'] = String(data.wasm_memory_bytes);
      showResult(data.manifest, state === 'running');
      if (saveEach?.applying) applyNext(saveEach);
      break;
    case 'exported':
      enter('done');
      if (data.zip) download(data.zip, `${stem(data.manifest)}-framesift.zip`);
      queue.mark(file, 'saved', keptText(data.manifest.frames.length, data.manifest.video.frames_missing));
      showSaved(data.manifest, data.zip ? T.export.saved(data.zip.size) : T.export.savedFolder(data.manifest.frames.length, data.folder ?? ''));
      if (saveEach) nextVideo();
      break;
    case 'stopped':
      saveEach = undefined;
      queue.mark(file, 'waiting');
      // What was there went with the workers.
      forget();
      file = undefined;
      facts.replaceChildren();
      startRow.show(undefined);
      enter('idle');
      fileInput.focus();
      break;
    case 'cancelled':
      if (state !== 'running' && state !== 'exporting') break;
      saveEach = undefined;
      queue.mark(file, state === 'exporting' ? 'scanned' : 'open');
      if (state === 'exporting') {
        enter('done');
        exporting.say(T.export.cancelled);
        exporting.zip.focus();
      } else {
        status.textContent = T.running.cancelled;
        enter('ready');
        startRow.focus();
      }
      break;
    case 'failed':
      receiveFailure(data.failure);
      if (saveEach) nextVideo();
      break;
  }
}

function receiveFailure(failure: Failure): void {
  fail(failure);
  message.scrollIntoView({ block: 'nearest' });
  switch (state) {
    case 'running':
      queue.mark(file, 'failed', failure.title);
      enter('ready');
      break;
    case 'exporting':
      queue.mark(file, 'failed', failure.title);
      // It may be that a choice has failed which was to be saved.
      engine?.cancel(false);
      enter('done');
      takeBack();
      break;
    case 'opening':
      // What was there is still there.
      queue.mark(file, 'failed', failure.title);
      ({ file } = before);
      enter(before.state === 'done' && manifest ? 'done' : 'idle');
      break;
    case 'done':
      if (saveEach) queue.mark(file, 'failed', failure.title);
      takeBack();
      break;
    case 'loading':
    case 'idle':
    case 'ready':
      break;
  }
}

/** A wish that has failed is not part of the result. */
function takeBack(): void {
  if (!manifest) return;
  photos.takeBack();
  edits = manifest.options.edits ?? {};
  chosenBy = options();
  people.show(manifest);
}

function showSaved({ frames }: Manifest, text: string): void {
  const lost = (manifest?.frames.length ?? 0) - frames.length;
  exporting.say(lost > 0 ? `${text} ${T.export.lost(lost)}` : text);
  exporting.zip.focus();
}

function receiveCandidate(candidate: Candidate): void {
  pictures.add(candidate);
  if (state !== 'running') return;
  liveTimeline.candidate(candidate.time_s, candidate.faces.length > 0);
  void running.candidate(candidate.thumbnail);
}

function showFacts(f: VideoFacts): void {
  const rows: [string, string][] = [
    [T.facts.file, f.name],
    [T.facts.size, bytesText(f.size_bytes)],
    [T.facts.length, timeText(f.duration_s, 1)],
    [T.facts.picture, `${f.width} × ${f.height}${f.rotation_deg ? T.facts.turned(f.rotation_deg) : ''}`],
    [T.facts.rate, T.facts.perSecond(f.frames_per_s)],
    [T.facts.format, `${f.container}, ${f.codec}`],
  ];
  facts.replaceChildren(...rows.map(([name, value]) => h('div', {}, h('dt', {}, name), h('dd', {}, value))));
}

function showResult(next: Manifest, first: boolean): void {
  manifest = next;
  photos.confirm(next.options);
  if (first) {
    if (imported && file && isOf(imported, file)) imported = undefined;
    chosenBy = options();
    queue.mark(file, 'scanned', keptText(next.frames.length, next.video.frames_missing));
    enter('done');
  }
  summaryBox.replaceChildren(...summary(next));
  timeline.show(next);
  gallery.show(next);
  people.show(next);
  exporting.show(next);
  if (compared) changes.show(compared, next);
  else changes.clear();
  showHistory();
  status.textContent = T.result.done(next.frames.length);
  // Behind an open dialog nothing is read out.
  viewer.update(next, T.result.done(next.frames.length));
  if (!first) return;
  if (saveEach) {
    // What came of the scan itself is not counted.
    queueMicrotask(saveThis);
    return;
  }
  document.getElementById('done-title')?.focus({ preventScroll: true });
}

// --- saving ---------------------------------------------------------------------

function stem({ video }: Manifest): string {
  return video.name.replace(/\.[^.]+$/, '') || 'video';
}

function download(blob: Blob, name: string): void {
  const url = URL.createObjectURL(blob);
  h('a', { href: url, download: name }).click();
  // The browser has taken its own reference by the time of the next job.
  setTimeout(() => URL.revokeObjectURL(url), 60_000);
}

function saveConfig(): void {
  download(new Blob([toConfig(options())], { type: 'text/plain' }), 'framesift.toml');
}

async function copyLink(): Promise<void> {
  window.history.replaceState(null, '', `#${toFragment(options())}`);
  shareText.textContent = await navigator.clipboard.writeText(location.href).then(
    () => T.settings.linkCopied,
    () => T.settings.linkFailed,
  );
}

// --- start ----------------------------------------------------------------------

for (const name of ['dragover', 'drop'] as const) {
  window.addEventListener(name, (event) => {
    event.preventDefault();
    const dropped = [...(event.dataTransfer?.files ?? [])];
    const pictured = dropped.filter(({ type }) => type.startsWith('image/'));
    // Photos that are dropped on a result are of someone to look for.
    if (name === 'drop' && pictured.length > 0 && state === 'done') byPhotos('reference', pictured);
    else if (name === 'drop') take(dropped);
    document.body.classList.toggle('dragging', name === 'dragover' && !fileInput.disabled);
  });
}
window.addEventListener('dragleave', () => document.body.classList.remove('dragging'));
window.addEventListener('beforeunload', (event) => {
  if (state === 'running' || state === 'exporting' || (state === 'done' && history.canUndo)) event.preventDefault();
});
window.addEventListener('keydown', (event) => {
  const target = event.target as HTMLElement;
  const writes = target instanceof HTMLInputElement && ['text', 'number'].includes(target.type);
  const key = event.key.toLowerCase();
  if (state !== 'done' || writes || !(event.ctrlKey || event.metaKey) || (key !== 'z' && key !== 'y')) return;
  event.preventDefault();
  travel(event.shiftKey || key === 'y' ? 'redo' : 'undo');
});

if (location.hash.length > 1) {
  const linked = fromFragment(location.hash);
  form.write(linked.settings);
  exporting.write(linked.formats);
}
enter('loading');
describeApp('framesift', T.tagline);
if (typeof VideoDecoder === 'undefined') {
  privacyText.textContent = T.privacy.short;
  fail(T.failures.noWebCodecs);
} else {
  try {
    const assets = await load({ fetch: cached });
    await keepForOffline(assets.files);
    lockNetwork();
    engine = new Engine(assets, receive);
    privacyText.textContent = T.privacy.short;
    enter('idle');
    if (waiting) open(waiting);
  } catch (error) {
    fail(T.failures.notLoaded(error instanceof Error ? error.message : String(error)));
  }
}
