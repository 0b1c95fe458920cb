// The npm package as those use it who install it: packed, unpacked, type-checked, bundled, run in Chromium.
import assert from 'node:assert/strict';
import { mkdirSync, mkdtempSync, readdirSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { basename, join } from 'node:path';
import { spawnSync } from 'node:child_process';
import { after, before, test } from 'node:test';
import { launch } from '../../scripts/lib/browser.mjs';
import { serve } from '../../scripts/lib/serve.mjs';
import { ROOT } from '../../scripts/lib/tools.mjs';
import { readZip } from '../../scripts/lib/zip.mjs';
import { media } from './media.mjs';
import { assertSameResult, extractNatively } from './native.mjs';

const PAGE = `
import { load, scan, ScanError, type Manifest, type ScanEvent, type ScanSettings } from 'framesift';

const kinds = (events: ScanEvent[]): string[] => [...new Set(events.map(({ type }) => type))];
const brief = ({ frames, options }: Manifest) => ({ frames: frames.map(({ index }) => index), options });

const use = {
  /** All of it: a scan, two more choices, a frame, a ZIP. */
  async whole(file: File) {
    const scanning = scan(file, { budget: 40 });
    const events: ScanEvent[] = [];
    for await (const event of scanning) events.push(event);
    const manifest = await scanning.result;
    const thumbnails = events.flatMap((event) => (event.type === 'candidate' ? [event.candidate.thumbnail] : []));
    const [few, faces] = await Promise.all([scanning.select({ budget: 2 }), scanning.select({ faces: 'require' })]);
    const frame = await createImageBitmap(await scanning.frame(7));
    const wrong = await scanning.select({ budget: 0 }).catch((error: unknown) => String(error));
    let steps = 0;
    const { zip, manifest: written } = await scanning.export({ onProgress: () => (steps += 1) });
    if (!zip) throw new Error('no ZIP');
    window.zip = new File([await zip.arrayBuffer()], 'stills.zip');
    scanning.close();
    return {
      kinds: kinds(events), manifest, few: brief(few), faces: brief(faces), written: brief(written), wrong, steps,
      thumbnails: thumbnails.length, types: [...new Set(thumbnails.map(({ type }) => type))],
      frame: [frame.width, frame.height], closed: await scanning.select().catch((error: Error) => error.name),
    };
  },
  /** Events are read once; a pause that comes early holds; someone is left out; what was stored goes. */
  async more(file: File) {
    const scanning = scan(file, { budget: 20, similarity: undefined });
    scanning.pause();
    let events = 0;
    const reading = (async () => {
      for await (const event of scanning) events += Number(event.type === 'candidate');
    })();
    await new Promise((resolve) => setTimeout(resolve, 3000));
    const early = events;
    scanning.pause(false);
    await reading;
    for await (const event of scanning) throw new Error(event.type);
    const { frames, people } = await scanning.result;
    // Nothing to go on with, and nothing that is watched for going on.
    scanning.pause(false);
    const [first] = frames;
    if (!first) throw new Error('no frame');
    const photo = new File([await scanning.frame(first.index)], 'them.jpg');
    // One without a name will do as well.
    await scanning.avoid([new Blob([photo])]);
    const without = await scanning.avoid([photo]);
    const large = await scanning.select({ max_side_px: 320, budget: undefined });
    const failed = await scanning.avoid([new File(['x'], 'none.jpg')]).catch((error: unknown) => error instanceof ScanError && error.advice);
    const { manifest } = await scanning.export();
    const stored = async () => {
      let files = 0;
      const root = await navigator.storage.getDirectory();
      for await (const name of root.keys()) files += Number(name.endsWith('.zip'));
      return files;
    };
    const [zips] = [await stored()];
    scanning.close();
    for (let i = 0; i < 50 && (await stored()) > 0; i++) await new Promise((resolve) => setTimeout(resolve, 100));
    return {
      early, similarity: manifest.options.similarity, people: people.length, before: frames.length, after: without.frames.length,
      avoid: without.options.avoid, large: large.options, failed, written: manifest.options, zips, left: await stored(),
    };
  },
  /** What is not used is no failure. */
  async onlyTheResult(file: File, settings: ScanSettings = {}) {
    const scanning = scan(file, { budget: 3, faces: 'ignore' }, settings);
    const { frames } = await scanning.result;
    scanning.close();
    return frames.length;
  },
  async sharedFiles(file: File) {
    return this.onlyTheResult(file, { assets: load({ variant: 'simd128' }) });
  },
  async left(file: File) {
    const scanning = scan(file);
    for await (const event of scanning) if (event.type === 'progress') break;
    return scanning.result.then(() => 'went on', (error: Error) => error.name);
  },
  async aborted(file: File) {
    const controller = new AbortController();
    const scanning = scan(file, {}, { signal: controller.signal });
    try {
      for await (const event of scanning) if (event.type === 'opened') controller.abort();
      return 'went on';
    } catch (error) {
      return (error as Error).name;
    }
  },
  async refused(file: File) {
    try {
      for await (const event of scan(file)) console.log(event.type);
      return undefined;
    } catch (error) {
      return error instanceof ScanError ? { message: error.message, advice: error.advice } : String(error);
    }
  },
};

declare global {
  interface Window {
    use: typeof use;
    zip: File;
  }
}
window.use = use;
`;

let folder;
let browser;
let server;
let files;

const inPackage = (...parts) => join(folder, 'node_modules', 'framesift', ...parts);

function run(command, args, cwd = folder) {
  const { status, stdout, stderr } = spawnSync(command, args, { cwd, encoding: 'utf8' });
  assert.equal(status, 0, `${command} ${args.join(' ')}\n${stdout}${stderr}`);
  return stdout;
}

before(async () => {
  folder = mkdtempSync(join(tmpdir(), 'framesift-package-'));
  const [{ filename, files: packed }] = JSON.parse(run('npm', ['pack', '--json', '--ignore-scripts', '--pack-destination', folder], ROOT));
  files = packed.map(({ path }) => path);
  mkdirSync(inPackage(), { recursive: true });
  run('tar', ['-xzf', join(folder, filename), '-C', inPackage(), '--strip-components=1']);
  writeFileSync(join(folder, 'package.json'), JSON.stringify({ type: 'module' }));
  writeFileSync(join(folder, 'page.ts'), PAGE);
  writeFileSync(join(folder, 'index.html'), '<!doctype html><input type="file"><script type="module" src="page.ts"></script>');
  const { build } = await import('vite');
  await build({ root: folder, configFile: false, logLevel: 'error', base: './', build: { target: 'es2023' } });
  server = await serve({ '/': join(folder, 'dist'), '/examples/': join(ROOT, 'examples'), '/lib/': join(ROOT, 'lib') });
  browser = await launch();
});

after(async () => {
  await browser?.close();
  await server?.close();
  if (folder) rmSync(folder, { recursive: true, force: true });
});

/** Runs one of \`use\` with a file. */
async function use(name, file) {
  const page = await browser.newPage();
  const errors = [];
  page.on('pageerror', (error) => errors.push(String(error)));
  try {
    await page.goto(`${server.origin}/`);
    await page.locator('input').setInputFiles(file);
    const result = await page.evaluate((name) => window.use[name](document.querySelector('input').files[0]), name);
    const zip = name === 'whole' && (await page.evaluate(async () => [...new Uint8Array(await window.zip.arrayBuffer())]));
    assert.deepEqual(errors, []);
    return { result, ...(zip && { zip: Buffer.from(zip) }) };
  } finally {
    await page.close();
  }
}

test('the package holds the module, its declarations, what it fetches and all licences', () => {
  for (const file of ['lib/framesift.js', 'lib/types/index.d.ts', 'lib/framesift.relaxed-simd.wasm', 'lib/framesift.simd128.wasm']) {
    assert.ok(files.includes(file), `${file} in ${files.join(' ')}`);
  }
  assert.equal(files.filter((file) => file.endsWith('.onnx')).length, 2);
  for (const name of ['framesift', 'mediabunny', 'client-zip', 'models']) assert.ok(files.some((file) => file.startsWith(`lib/licenses/${name}/`)), name);
  assert.deepEqual(files.filter((file) => !/^(lib\/|README|LICENSE|package\.json)/.test(file)), []);
});

test('its types hold for strict users, whatever their way to resolve modules', () => {
  const tsc = join(ROOT, 'node_modules', '.bin', 'tsc');
  for (const [module, resolution] of [['esnext', 'bundler'], ['nodenext', 'nodenext']]) {
    const strict = ['--strict', '--noUncheckedIndexedAccess', '--exactOptionalPropertyTypes', '--noEmit'];
    run(tsc, [...strict, '--target', 'es2023', '--lib', 'es2023,dom,dom.iterable,dom.asynciterable', '--module', module, '--moduleResolution', resolution, 'page.ts']);
  }
});

test('what is not used is not bundled', async () => {
  const small = mkdtempSync(join(folder, 'small-'));
  writeFileSync(join(small, 'index.html'), '<!doctype html><script type="module" src="small.js"></script>');
  writeFileSync(join(small, 'small.js'), "import { DEFAULT_OPTIONS } from 'framesift';\ndocument.title = String(DEFAULT_OPTIONS.budget);\n");
  const { build } = await import('vite');
  await build({ root: small, configFile: false, logLevel: 'error', build: { target: 'es2023' } });
  const assets = join(small, 'dist', 'assets');
  const code = readdirSync(assets).filter((name) => name.endsWith('.js'));
  const bytes = code.reduce((sum, name) => sum + statSync(join(assets, name)).size, 0);
  assert.ok(bytes > 0 && bytes < 3000, `${bytes} bytes of code: ${code.join(' ')}`);
});

test('a scan gives what the command gives, and chooses, shows and saves', async () => {
  const video = media('people.mp4');
  const { result, zip } = await use('whole', video);
  assert.deepEqual(result.kinds.toSorted(), ['candidate', 'opened', 'progress', 'result', 'scenes']);
  assertSameResult(result.manifest, await extractNatively(video, '--budget', '40'));
  assert.equal(result.manifest.video.name, basename(video));
  assert.equal(result.thumbnails, result.manifest.frames.length + result.manifest.rejected.length);
  assert.deepEqual(result.types, ['image/jpeg']);
  assert.equal(result.few.frames.length, 2);
  // One choice builds on the other.
  assert.deepEqual([result.faces.options.budget, result.faces.options.faces], [2, 'require']);
  assert.deepEqual(result.frame, [640, 360]);
  assert.match(result.wrong, /budget/);
  // A choice that failed changes nothing.
  assert.deepEqual(result.written, result.faces);
  assert.ok(result.steps > 0);
  assert.equal(result.closed, 'AbortError');
  const path = join(folder, 'stills.zip');
  writeFileSync(path, zip);
  const entries = await readZip(path);
  const { frames } = JSON.parse(entries.get('manifest.json').toString('utf8'));
  assert.deepEqual(frames.map(({ index }) => index), result.written.frames);
  for (const { file } of frames) assert.ok(entries.has(file), file);
});

test('a scan pauses, leaves people out, and takes with it what it stored', async () => {
  const { result } = await use('more', media('people.mp4'));
  assert.equal(result.early, 0);
  assert.equal(result.similarity, 0.8);
  assert.ok(result.after > 0 && result.after < result.before, `${result.after} of ${result.before}`);
  assert.deepEqual(result.avoid, ['them.jpg']);
  assert.deepEqual([result.large.budget, result.large.max_side_px], [500, 320]);
  // Photos that cannot be used change nothing, neither the choice nor what is written about it.
  assert.match(result.failed, /JPEG/);
  assert.deepEqual(result.written.avoid, ['them.jpg']);
  assert.deepEqual([result.zips, result.left], [1, 0]);
});

test('scans share what was fetched, end when they are left or aborted, and say why they cannot be', async () => {
  const video = media('people.mp4');
  assert.ok((await use('onlyTheResult', video)).result > 0);
  assert.ok((await use('sharedFiles', video)).result > 0);
  assert.equal((await use('left', video)).result, 'AbortError');
  assert.equal((await use('aborted', video)).result, 'AbortError');
  const { result } = await use('refused', media('text.mp4'));
  assert.match(result.message, /./);
  assert.match(result.advice, /./);
});

test('the example page works', async () => {
  const page = await browser.newPage();
  await page.goto(`${server.origin}/examples/page/index.html`);
  await page.locator('input').setInputFiles(media('people.mp4'));
  await page.locator('a:not([hidden])').waitFor();
  assert.ok((await page.locator('main img').count()) > 5);
  const widths = await page.locator('main img').evaluateAll((images) => Promise.all(images.map((image) => image.decode().then(() => image.naturalWidth))));
  assert.deepEqual([...new Set(widths)], [320]);
  await page.locator('input').setInputFiles(media('text.mp4'));
  await page.locator('output:not(:empty)').waitFor();
  await page.close();
});
