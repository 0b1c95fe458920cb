/**
 * The job: opens the file, decodes and samples every frame, feeds the analysis
 * pool, chooses, exports. One job at a time; everything it keeps lives here and
 * in its wasm instance.
 */

import { type Box, DEFAULT_OPTIONS, type Manifest, type Options, type Stills, type Video } from '../manifest';
import { SAY } from '../messages';
import type { Assets, Candidate, Failure, FromJob, Progress, ToJob } from '../protocol';
import { type FrameLayout, type Reserve, copyFrame, decodedFrames, samplesAt } from './decode';
import { estimate } from './estimate';
import { ExportFiles, type NamedFile, pixelsOf, removeLeftovers, removeMade } from './export';
import { UserError, describe, reason } from './failure';
import { forgetScan, keptScans } from './journal';
import { Pool } from './pool';
import { Recording } from './recording';
import { type OpenVideo, listedTimes, openVideo } from './video';
import { type Loaded, load } from './wasm';

/** Progress is told this often. */
const PROGRESS_MS = 100;
/** What went wrong in a damaged file is told so often; the rest is counted. */
const NOTES = 20;

/** Entries of a journal are taken so many at once. */
const ENTRIES_AT_ONCE = 64;
/** So many analyses that fail before one succeeds end a scan. */
const MOST_FAILED = 8;

/** A thousand frames with identity vectors take a hundredth of it. */
const MOST_MANIFEST_BYTES = 1 << 30;

/** Longer side of a photo that is looked at, in pixels. */
const MOST_PHOTO_PX = 2048;

class Cancelled extends Error {}

type Scan = InstanceType<Loaded['wasm']['Scan']>;

/** Where a recorded scan was. */
interface Earlier {
  checkpoint: { notes?: string[]; more_notes?: number; ended?: boolean; hdr?: Video['hdr'] };
  /** Time of its last frame. */
  last_s?: number;
}

class Job {
  private readonly loaded: Loaded;
  private readonly pool: Pool;
  private video: OpenVideo | undefined;
  /** What is kept of the open file's scan. */
  private readonly recording: Recording;
  /** The scan under way or done; `scanned` follows when it is complete. */
  private scan: Scan | undefined;
  private scanned: { scan: Scan; video: Video; timings_s: Record<string, number> } | undefined;
  /** Names of the photos of those who are looked for or left out: what the manifest says of them is what was done. */
  private photos: Record<'reference' | 'avoid', string[]> = { reference: [], avoid: [] };
  private candidates = 0;
  private analysed = 0;
  /** Candidates whose analysis failed, and why: most likely a worker was out of memory. */
  private readonly failed = new Map<number, Error>();
  private lastProgress_ms = 0;
  private lastRead_ms = -Infinity;
  private cancelRequested = false;
  private paused = false;
  private pausedChanged: (() => void)[] = [];

  constructor(
    private readonly assets: Assets,
    ports: MessagePort[],
  ) {
    this.loaded = load(assets);
    this.pool = new Pool(ports, (worker) => send({ type: 'stuck', worker }));
    this.recording = new Recording(this.wasm, send);
  }

  get wasm(): Loaded['wasm'] {
    return this.loaded.wasm;
  }

  get device(): string {
    return this.loaded.wasm.device();
  }

  cancel(): void {
    this.cancelRequested = true;
    this.pause(false);
  }

  pause(paused: boolean): void {
    this.paused = paused;
    for (const changed of this.pausedChanged.splice(0)) changed();
  }

  private async untilResumed(): Promise<void> {
    while (this.paused) await new Promise<void>((resolve) => this.pausedChanged.push(resolve));
  }

  replace(worker: number, port: MessagePort): void {
    this.pool.replace(worker, port);
  }

  /** `cancelled`: before its turn came; `others`: whether something else was asked for since. */
  async run(request: Exclude<ToJob, { type: 'init' | 'cancel' | 'pause' | 'replaced' | 'close' }>, cancelled: boolean, others: () => boolean): Promise<void> {
    this.cancelRequested = cancelled;
    this.paused = false;
    switch (request.type) {
      case 'open': {
        await this.open(request.file, request.keep);
        const kept = this.recording.kept();
        send({ type: 'opened', facts: this.opened().facts, request: request.request, ...(kept && { kept }) });
        break;
      }
      case 'estimate':
        // Without it the page goes on.
        send({ type: 'estimated', ...(await this.estimate(request.options, others).catch(() => undefined)) });
        break;
      case 'scan':
        try {
          if (request.keep || request.resume) await this.recording.find(this.opened().file, request.resume);
          else await this.recording.remove();
          await this.scanVideo(this.opened(), request.options, request.resume, request.keep);
        } catch (error) {
          this.forget();
          this.tellKept();
          throw error;
        }
        this.select(request.options);
        break;
      case 'import':
        send({ type: 'imported', ...(await this.readManifest(request.file)) });
        break;
      case 'forget':
        if (request.id !== undefined) await forgetScan(request.id);
        else {
          await this.recording.remove();
          this.tellKept();
        }
        break;
      case 'pictures':
        // Without them the page goes on.
        await this.sendPictures(request.indices).catch(() => undefined);
        send({ type: 'pictured', all: !this.cancelRequested });
        break;
      case 'select':
        this.select(request.options);
        break;
      case 'include':
        await this.include(request.index);
        this.select(request.options);
        break;
      case 'people': {
        const { scan } = this.result();
        const identities = await this.identities(request.photos);
        if (request.who === 'avoid') scan.avoid(identities);
        else scan.look_for(identities);
        this.photos[request.who] = request.photos.map(nameOf);
        this.select(request.options);
        break;
      }
      case 'frame':
        // Without it the page shows the small picture.
        await this.sendFrame(request.index).catch(() => send({ type: 'frame', frame: { index: request.index } }));
        break;
      case 'export':
        await this.exportVideo(this.opened(), request.options, request.folder);
        break;
    }
  }

  /** What was scanned before is kept where the file cannot be opened. */
  private async open(file: File, keep: boolean): Promise<void> {
    const video = await openVideo(file, () => this.reading());
    this.forget();
    this.video?.input.dispose();
    this.video = video;
    await this.recording.turnTo(file, keep);
  }

  private estimate(options: Options, others: () => boolean): ReturnType<typeof estimate> {
    const video = this.opened();
    const newScan = () => new this.loaded.wasm.Scan(options, video.facts.duration_s, this.assets.packToml);
    return estimate(video, options.workers, { newScan, roomIn: (scan) => this.roomIn(scan), pool: this.pool, others });
  }

  private tellKept(): void {
    const kept = this.recording.kept();
    send({ type: 'kept', ...(kept && { kept }) });
  }

  private async readManifest(file: File): Promise<{ manifest: Manifest } | { failure: Failure }> {
    if (file.size > MOST_MANIFEST_BYTES) return { failure: SAY.tooLargeForManifest(file.name) };
    try {
      return { manifest: this.wasm.read_manifest(await file.text()) as Manifest };
    } catch (error) {
      return { failure: SAY.noManifest(file.name, reason(error)) };
    }
  }

  private reading(): void {
    const now = performance.now();
    if (now - this.lastRead_ms < PROGRESS_MS) return;
    this.lastRead_ms = now;
    send({ type: 'reading' });
  }

  /** Room for the pixels of frames in wasm memory, which may grow with it: its buffer is asked for afterwards. */
  private roomIn(scan: Scan): Reserve {
    return (bytes) => {
      const pointer = scan.reserve(bytes);
      return new Uint8Array(this.loaded.memory.buffer, pointer, bytes);
    };
  }

  private opened(): OpenVideo {
    if (!this.video) throw new Error('no video is open');
    return this.video;
  }

  private forget(): void {
    this.pool.reset();
    this.scan?.free();
    this.scan = undefined;
    this.scanned = undefined;
    this.photos = { reference: [], avoid: [] };
    this.candidates = 0;
    this.analysed = 0;
    this.failed.clear();
  }

  private progress(stage: Progress['stage'], done: number, total: number, force = false): void {
    const now = performance.now();
    if (!force && now - this.lastProgress_ms < PROGRESS_MS) return;
    this.lastProgress_ms = now;
    const { candidates, analysed } = this;
    send({ type: 'progress', progress: { stage, done, total, candidates, analysed } });
  }

  private throwIfCancelled(): void {
    if (this.cancelRequested) throw new Cancelled();
  }

  /** Where no analysis at all succeeds there is no use in going on. */
  private throwIfStopped(): void {
    this.throwIfCancelled();
    const [[index, error] = []] = this.failed;
    if (error && this.analysed === 0 && this.failed.size >= MOST_FAILED) throw new Error(`face analysis of frame ${index}: ${error.message}`);
  }

  private async scanVideo(video: OpenVideo, options: Options, resume: boolean, keep: boolean): Promise<void> {
    const { track, facts } = video;
    this.forget();
    const start_ms = performance.now();
    this.progress('count', 0, 0, true);
    const times_s = await listedTimes(track, (count) => {
      this.progress('count', count, 0);
      return !this.cancelRequested;
    });
    const expected = times_s.length;
    this.throwIfCancelled();

    const scan = new this.loaded.wasm.Scan(options, facts.duration_s, this.assets.packToml);
    this.scan = scan;
    const reserve = this.roomIn(scan);
    const earlier = await this.begin(scan, track, reserve, resume);
    // What is kept cannot be gone on from: it is found again.
    if (earlier === 'unfit') return this.scanVideo(video, options, false, keep);
    if (!keep) await this.recording.remove();
    const { notes = [], more_notes: moreNotesBefore = 0, ended = false } = earlier.checkpoint;
    let moreNotes = moreNotesBefore;
    let decoded = scan.frames;
    let { hdr } = earlier.checkpoint;
    let sampling_ms = 0;
    const timed = <T>(run: () => T): T => {
      const before_ms = performance.now();
      const result = run();
      sampling_ms += performance.now() - before_ms;
      return result;
    };
    const analyse = async (waiting: number) => {
      for (; waiting > 0; waiting--) {
        await this.analyseNext(scan, options);
        this.progress('scan', decoded, expected);
      }
    };
    const note = (text: string) => {
      if (notes.length < NOTES) notes.push(text);
      else moreNotes += 1;
    };
    const checkpoint = (ended: boolean) =>
      this.recording.add(() => scan.journal_frames({ notes, more_notes: moreNotes, ended, ...(hdr && { hdr }) }));
    if (decoded > 0) send({ type: 'scenes', starts_s: [...scan.scene_starts()] });
    const onTry = () => this.progress('scan', decoded, expected, true);
    for await (const sample of ended ? [] : decodedFrames(track, times_s, note, onTry, earlier.last_s)) {
      const { timestamp, duration } = sample;
      let waiting: number;
      try {
        const layout = await copyFrame(sample, reserve);
        if (layout.transfer !== 'sdr') hdr = layout.transfer;
        waiting = timed(() => scan.commit(timestamp, duration, layout));
      } finally {
        // Hardware decoders have few pictures to lend.
        sample.close();
      }
      decoded += 1;
      await analyse(waiting);
      if (decoded % options.batch === 0) {
        checkpoint(false);
        send({ type: 'scenes', starts_s: [...scan.scene_starts()] });
      }
      await this.untilResumed();
      this.throwIfCancelled();
      this.progress('scan', decoded, expected);
    }
    await analyse(timed(() => scan.finish()));
    if (!ended) checkpoint(true);
    await this.lookAgain(track, scan, reserve, options);
    const scan_ms = performance.now() - start_ms;
    if (decoded === 0) {
      throw new UserError(expected > 0 ? SAY.noneDecoded(expected, notes[0]) : SAY.noFrames());
    }
    await this.untilAnalysed();
    await this.tryAgain(track, scan, reserve, options, note);
    if (moreNotes > 0) notes.push(SAY.more(moreNotes));
    const total_ms = performance.now() - start_ms;
    const missing = Math.max(0, expected - decoded);
    const shortfall = scan.shortfall(expected, facts.stated_s);
    if (shortfall) notes.push(shortfall);
    this.scanned = {
      scan,
      video: {
        name: facts.name,
        size_bytes: facts.size_bytes,
        duration_s: scan.duration_s,
        width: facts.width,
        height: facts.height,
        rotation_deg: facts.rotation_deg,
        codec: facts.codec,
        ...(hdr && { hdr }),
        frames_expected: expected,
        frames_decoded: decoded,
        frames_missing: missing,
        notes,
      },
      timings_s: { scan: scan_ms / 1000, sampling: sampling_ms / 1000, faces_after_scan: (total_ms - scan_ms) / 1000, total: total_ms / 1000 },
    };
  }

  /** Begins to record a scan, or feeds it with what was recorded before; `unfit` where that cannot be gone on from. */
  private async begin(scan: Scan, track: OpenVideo['track'], reserve: Reserve, resume: boolean): Promise<Earlier | 'unfit'> {
    const { recording } = this;
    if (recording.video === undefined) return resume ? 'unfit' : { checkpoint: {} };
    const first = scan.begin_journal(recording.video);
    if (!resume) {
      await recording.begin(first);
      return { checkpoint: {} };
    }
    let taken = 0;
    for (const entry of recording.entries()) {
      // Of another version, or other models.
      if (taken === 0 && (entry.length !== first.length || entry.some((byte, i) => byte !== first[i]))) return 'unfit';
      if (!scan.replay(entry)) break;
      taken += 1;
      if (taken % ENTRIES_AT_ONCE > 0) continue;
      // So that a cancel is heard.
      this.progress('count', scan.frames, 0);
      await new Promise((resolve) => setTimeout(resolve));
      this.throwIfCancelled();
    }
    const earlier = scan.replayed() as Earlier;
    if (earlier.last_s === undefined) return 'unfit';
    if (earlier.checkpoint.ended) return earlier;
    // Some measures are differences to the frame before.
    for await (const sample of samplesAt(track, [earlier.last_s])) {
      if (!sample) return 'unfit';
      scan.measure_only(await copyFrame(sample, reserve));
      sample.close();
    }
    return earlier;
  }

  /** Sends the oldest waiting candidate to the pool; waits while the pool is full. */
  private async analyseNext(scan: Scan, { workers }: Options): Promise<void> {
    await this.untilResumed();
    this.throwIfStopped();
    const { index, time_s, layout } = scan.candidate() as { index: number; time_s: number; layout: unknown };
    const pixels = this.pool.buffer(scan.candidate_bytes);
    scan.take_pixels(pixels);
    this.candidates += 1;
    const { result } = await this.pool.analyze({ layout, pixels }, workers);
    result
      .then(({ faces, thumbnail, portraits }) => {
        scan.set_faces(index, faces);
        // What was looked at in vain is not known the next time either.
        if (!this.scanned && !scan.was_passed_over(index)) this.recording.add(() => scan.journal_faces(index));
        this.analysed += 1;
        send({ type: 'candidate', candidate: shown(index, time_s, thumbnail, portraits, faces) });
      })
      .catch((error: Error) => this.failed.set(index, error));
  }

  /** Waits for what the pool still has, and tells how far it is. */
  private async untilAnalysed(): Promise<void> {
    let over = false;
    const tell = () => this.progress('faces', this.analysed, this.candidates, true);
    tell();
    const waiting = setInterval(tell, PROGRESS_MS);
    try {
      await Promise.race([this.pool.idle(), this.untilCancelled(() => over)]);
    } finally {
      over = true;
      clearInterval(waiting);
    }
    this.throwIfStopped();
  }

  /** Candidates that were lost with their worker get one more try; those that fail again count as without faces. */
  private async tryAgain(track: OpenVideo['track'], scan: Scan, reserve: Reserve, options: Options, note: (text: string) => void): Promise<void> {
    for (const index of [...this.failed.keys()]) if (scan.was_passed_over(index)) this.failed.delete(index);
    if (this.failed.size === 0) return;
    const again = [...this.failed].map(([index, error]) => ({ index, error, time_s: scan.time_of(index) })).sort((a, b) => a.index - b.index);
    this.failed.clear();
    this.candidates -= again.length;
    let i = 0;
    for await (const sample of samplesAt(track, again.map((one) => one.time_s))) {
      const one = again[i++];
      try {
        this.throwIfStopped();
        if (!one) continue;
        if (!sample) {
          this.failed.set(one.index, one.error);
          continue;
        }
        scan.commit_again(one.index, await copyFrame(sample, reserve));
      } finally {
        sample?.close();
      }
      await this.analyseNext(scan, options);
    }
    await this.untilAnalysed();
    for (const [index, error] of this.failed) {
      note(SAY.noFacesLookedFor(scan.time_of(index), error.message));
      scan.set_faces(index, []);
    }
  }

  /** Decodes a few frames once more that turned out to be better candidates. */
  private async lookAgain(track: OpenVideo['track'], scan: Scan, reserve: Reserve, options: Options): Promise<void> {
    const wanted = scan.second_look() as { index: number; time_s: number }[];
    let i = 0;
    for await (const sample of samplesAt(track, wanted.map((w) => w.time_s))) {
      const frame = wanted[i++];
      try {
        this.throwIfStopped();
        this.progress('again', i, wanted.length);
        // Without it the choice is only less good.
        if (!sample || !frame) continue;
        scan.commit_again(frame.index, await copyFrame(sample, reserve));
      } finally {
        sample?.close();
      }
      await this.analyseNext(scan, options);
    }
  }

  /** Makes a frame a candidate that the user wants to keep. */
  private async include(index: number): Promise<void> {
    const { scan } = this.result();
    const { track } = this.opened();
    this.failed.clear();
    const reserve = this.roomIn(scan);
    for await (const sample of samplesAt(track, [scan.time_of(index)])) {
      if (!sample) throw new UserError(SAY.notDecodedAgain());
      try {
        scan.commit_again(index, await copyFrame(sample, reserve));
      } finally {
        sample.close();
      }
      await this.analyseNext(scan, DEFAULT_OPTIONS);
    }
    await this.pool.idle();
    this.throwIfCancelled();
    const error = this.failed.get(index);
    if (error) throw new UserError(SAY.notLookedAt(error.message));
  }

  /** The identities of the largest face on each photo. */
  private async identities(photos: Blob[]): Promise<number[][]> {
    const identities: number[][] = [];
    for (const photo of photos) {
      const faces = await this.facesOn(photo);
      const size = ({ bbox: [, , w, h] }: { bbox: Box }) => w * h;
      const largest = faces.reduce<(typeof faces)[number] | undefined>((a, b) => (a && size(a) >= size(b) ? a : b), undefined);
      if (!largest) throw new UserError(SAY.noFaceOn(nameOf(photo)));
      identities.push(largest.embedding);
    }
    return identities;
  }

  private async facesOn(photo: Blob): Promise<{ bbox: Box; embedding: number[] }[]> {
    const picture = await createImageBitmap(photo).catch(() => {
      throw new UserError(SAY.noPicture(nameOf(photo)));
    });
    // Larger than the detector sees it, and small enough for memory.
    const scale = Math.min(1, MOST_PHOTO_PX / Math.max(picture.width, picture.height));
    const [width, height] = [picture.width, picture.height].map((side) => Math.max(1, Math.round(side * scale))) as [number, number];
    const context = new OffscreenCanvas(width, height).getContext('2d', { willReadFrequently: true });
    if (!context) throw new Error('no 2D canvas for a photo');
    context.drawImage(picture, 0, 0, width, height);
    picture.close();
    const pixels = new Uint8Array(context.getImageData(0, 0, width, height).data.buffer);
    const layout: FrameLayout = {
      format: 'RGBA', width, height, planes: [{ offset: 0, stride: width * 4 }], rotation_deg: 0, flip: false,
      display_width: width, display_height: height, matrix: 'bt709', full_range: true, transfer: 'sdr',
    };
    const { result } = await this.pool.analyze({ layout, pixels }, 1);
    return (await result).faces;
  }

  /** A frame at full quality, for the page. */
  private async sendFrame(index: number): Promise<void> {
    const time_s = this.result().scan.time_of(index);
    for await (const sample of samplesAt(this.opened().track, [time_s])) {
      if (!sample) {
        send({ type: 'frame', frame: { index, time_s } });
        continue;
      }
      const { result } = await this.pool.encode(await pixelsOf(sample, this.pool), { format: 'jpg', quality: DEFAULT_OPTIONS.quality, crops: 'none', faces: [], thumbnail: false }, 1);
      const [jpeg] = await result;
      send({ type: 'frame', frame: { index, time_s, ...(jpeg && { picture: picture(jpeg) }) } });
    }
  }

  /** Small pictures of candidates that an earlier scan has found. */
  private async sendPictures(indices: number[]): Promise<void> {
    const { scan } = this.result();
    const wanted = indices.map((index) => ({ index, time_s: scan.time_of(index) })).sort((a, b) => a.time_s - b.time_s);
    let i = 0;
    for await (const sample of samplesAt(this.opened().track, wanted.map((one) => one.time_s))) {
      const one = wanted[i++];
      // Without it its card stays empty, and says what it is.
      if (!sample || !one) continue;
      const { index, time_s } = one;
      const faces = scan.faces_of(index) as Stills['faces'];
      const { result } = await this.pool.picture(await pixelsOf(sample, this.pool), faces, DEFAULT_OPTIONS.workers);
      void result.then(
        ([thumbnail, ...portraits]) => {
          if (thumbnail) send({ type: 'candidate', candidate: shown(index, time_s, thumbnail, portraits, faces) });
        },
        () => undefined,
      );
      if (this.cancelRequested) break;
    }
    await this.pool.idle();
  }

  private async untilCancelled(over: () => boolean): Promise<void> {
    while (!over() && !this.cancelRequested) await new Promise((resolve) => setTimeout(resolve, PROGRESS_MS));
  }

  private result() {
    if (!this.scanned) throw new Error('nothing has been scanned');
    return this.scanned;
  }

  private manifest(options: Options): Manifest {
    const { scan, video, timings_s } = this.result();
    return scan.manifest(this.asDone(options), video, timings_s) as Manifest;
  }

  /** Options with the photos that were looked at. */
  private asDone(options: Options): Options {
    const done = { ...options };
    for (const who of ['reference', 'avoid'] as const) {
      delete done[who];
      if (this.photos[who].length > 0) done[who] = this.photos[who];
    }
    return done;
  }

  private select(options: Options): void {
    // Identity vectors are for the file, not for the page.
    const manifest = { ...this.manifest({ ...options, embeddings: false }), options: this.asDone(options) };
    const wasm_memory_bytes = this.loaded.memory.buffer.byteLength + this.pool.wasmMemoryBytes;
    send({ type: 'selected', manifest, wasm_memory_bytes });
  }

  private async exportVideo({ track }: OpenVideo, options: Options, folder?: FileSystemDirectoryHandle): Promise<void> {
    const start_ms = performance.now();
    const manifest = this.manifest(options);
    const total = manifest.frames.length;
    const finish = (m: Manifest): Manifest => ({
      ...m,
      timings_s: { ...m.timings_s, export: (performance.now() - start_ms) / 1000 },
    });
    const hooks = {
      onProgress: (done: number) => this.progress('export', done, total),
      finish,
      tables: (m: Manifest, thumbnails: Uint8Array[]) => [
        ...(this.wasm.dataset_files(m) as NamedFile[]),
        ...(this.wasm.contact_sheets(Float64Array.from(m.frames, (frame) => frame.time_s), thumbnails) as NamedFile[]),
        ['scenes.csv', this.wasm.scenes_csv(m)] satisfies NamedFile,
      ],
      cancelled: () => this.cancelRequested,
    };
    const files = new ExportFiles(track, manifest, this.pool, hooks);
    const name = `${manifest.video.name.replace(/\.[^.]+$/, '') || 'video'}-framesift`;
    const exported = folder ? await files.toFolder(folder, name) : await files.toZip();
    this.throwIfCancelled();
    // The set is where the user wants it.
    await this.recording.remove();
    send({ type: 'exported', ...exported });
  }
}

function send(message: FromJob): void {
  self.postMessage(message);
}

function nameOf(photo: Blob): string {
  return photo instanceof File ? photo.name : SAY.photo;
}

function picture(jpeg: Uint8Array<ArrayBuffer>): Blob {
  return new Blob([jpeg], { type: 'image/jpeg' });
}

function shown(index: number, time_s: number, thumbnail: Uint8Array<ArrayBuffer>, portraits: Uint8Array<ArrayBuffer>[], faces: { bbox: Box }[]): Candidate {
  const portrait = ({ bbox }: { bbox: Box }, i: number) => ({ bbox, picture: picture(portraits[i] ?? new Uint8Array()) });
  return { index, time_s, thumbnail: picture(thumbnail), faces: faces.map(portrait) };
}

let job: Job | undefined;
/** Requests run one after the other; cancelling overtakes them. */
let queue: Promise<void> = Promise.resolve();
let started: Promise<void> | undefined;
/** Requests that came, and those of them that had come when the user cancelled. */
let [received, cancelled] = [0, 0];

self.onmessage = ({ data }: MessageEvent<ToJob>) => {
  if (data.type === 'cancel') {
    cancelled = received;
    job?.cancel();
    return;
  }
  if (data.type === 'pause') {
    job?.pause(data.paused);
    return;
  }
  if (data.type === 'close') {
    job?.cancel();
    void removeMade().finally(() => self.close());
    return;
  }
  if (data.type === 'replaced') {
    void started?.then(() => job?.replace(data.worker, data.port));
    return;
  }
  const number = ++received;
  queue = queue.then(async () => {
    try {
      if (data.type === 'init') {
        await removeLeftovers();
        job = new Job(data.assets, data.pool);
        send({ type: 'ready', device: job.device, kept: await keptScans(job.wasm) });
      } else {
        if (!job) throw new Error('the background worker did not start');
        await job.run(data, number <= cancelled, () => received > number);
      }
    } catch (error) {
      send(error instanceof Cancelled ? { type: 'cancelled' } : { type: 'failed', failure: describe(error) });
    }
  });
  started ??= queue;
};
