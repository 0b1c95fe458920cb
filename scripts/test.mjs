// `npm test`: sets up what is missing and runs everything.
//   npm test                 all
//   npm test -- page         only the page's tests (or: native, wasm)
import { existsSync } from 'node:fs';
import { delimiter, join } from 'node:path';
import { onnxRuntimeLibrary } from './bench/setup.mjs';
import { build } from './build.mjs';
import { ROOT, ensureFfmpegLibraries, ensureNpmPackages, ensurePrograms, ensureRust, ensureWasmBindgen, main, onPath, run } from './lib/tools.mjs';

const WASM_TESTS = ['--lib', '--test', 'wasm_page', '--test', 'wasm_worker'];

function testNative() {
  // Engines are compared with each other.
  const env = { FRAMESIFT_ORT_LIB: onnxRuntimeLibrary() };
  run('cargo', ['test', '--locked', '--all-targets'], { env, stdout: 1 });
  run('cargo', ['test', '--locked', '--doc'], { stdout: 1 });
}

/** Both variants run the kernels' tests; the rest does not depend on the variant. */
function testWasm() {
  const env = {
    PATH: [ensureWasmBindgen(), process.env.PATH].join(delimiter),
    CHROMEDRIVER: onPath('chromedriver'),
    WASM_BINDGEN_USE_BROWSER: '1',
    WASM_BINDGEN_TEST_TIMEOUT: '300',
    WASM_BINDGEN_TEST_DRIVER_TIMEOUT: '60',
  };
  const cargo = ['test', '--locked', '--release', '--no-default-features', '--target', 'wasm32-unknown-unknown'];
  // Kernels are compared with floats under tract, which the page's builds do without.
  run('cargo', [...cargo, '--features', 'relaxed-simd,tract', ...WASM_TESTS], { env, stdout: 1 });
  run('cargo', [...cargo, '--features', 'tract', '--lib'], { env, stdout: 1 });
}

async function testPage() {
  await build();
  // The page's results are compared with the native command's.
  run('cargo', ['build', '--locked', '--bin', 'framesift']);
  const files = ['page', 'review', 'queue', 'resume', 'offline', 'speed', 'corpus', 'fuzz', 'package'].map((name) => `tests/page/${name}.test.mjs`);
  if (existsSync(join(ROOT, '..', 'shared', 'media'))) files.push('tests/page/clips.test.mjs');
  run(process.execPath, ['--test', '--test-concurrency=1', ...files], { stdout: 1 });
}

const PARTS = { native: testNative, wasm: testWasm, page: testPage };

await main(async () => {
  ensureNpmPackages();
  ensureRust();
  ensureFfmpegLibraries();
  ensurePrograms('chromium', 'chromedriver', 'ffmpeg', 'ffprobe');
  const wanted = process.argv.slice(2);
  const unknown = wanted.filter((name) => !(name in PARTS));
  if (unknown.length > 0) throw new Error(`unknown part ${unknown.join(', ')}; there are: ${Object.keys(PARTS).join(', ')}`);
  for (const name of wanted.length > 0 ? wanted : Object.keys(PARTS)) await PARTS[name]();
});
