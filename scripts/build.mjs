// Builds the wasm variants of wasm-pack.toml, the static site into dist/, and the npm package into lib/.
import { createHash } from 'node:crypto';
import { cpSync, existsSync, mkdirSync, readFileSync, readdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { ROOT, ensureNpmPackages, ensureRust, ensureWasmBindgen, main, output, run } from './lib/tools.mjs';

const WASM = join(ROOT, 'target', 'wasm32-unknown-unknown', 'release', 'framesift.wasm');

/** Runs `make` unless all `products` are there and `stamp` holds the hash of `parts`. */
export function unlessUnchanged(stamp, products, parts, make) {
  const hash = createHash('sha256');
  for (const part of parts) hash.update(part);
  const digest = hash.digest('hex');
  if (products.every(existsSync) && existsSync(stamp) && readFileSync(stamp, 'utf8') === digest) return;
  make();
  writeFileSync(stamp, digest);
}

/** Builds the variants into folders below `folder`, with more features. */
export async function buildWasm(folder = join(ROOT, 'npm', 'wasm'), more = []) {
  const { parse } = await import('smol-toml');
  const config = parse(readFileSync(join(ROOT, 'wasm-pack.toml'), 'utf8'));
  const bindgen = join(ensureWasmBindgen(), 'wasm-bindgen');
  // Cargo would build again at every switch of features; the sources' hash tells whether it must.
  const rust = [output('rustc', ['-vV']) ?? '', ...contents('src', 'Cargo.toml', 'Cargo.lock', '.cargo')];
  for (const variant of config.variant) {
    const named = [...variant.features, ...more];
    const features = named.length > 0 ? ['--features', named.join(',')] : [];
    const out = join(folder, variant.name);
    mkdirSync(out, { recursive: true });
    unlessUnchanged(join(out, '.stamp'), [join(out, 'framesift.js')], [...rust, JSON.stringify(config), named.join()], () => {
      run('cargo', ['build', '--locked', '--release', '--lib', '--no-default-features', '--target', 'wasm32-unknown-unknown', ...features]);
      run(bindgen, ['--target', 'web', ...config['wasm-bindgen'].args, '--out-dir', out, WASM]);
    });
  }
}

/** The bytes of all files below some paths that belong to the project. */
function contents(...paths) {
  const files = output('git', ['ls-files', '--cached', '--others', '--exclude-standard', ...paths]);
  if (files === null) return [String(Math.random())]; // Not a checkout: build every time.
  return files.split('\n').flatMap((f) => (existsSync(join(ROOT, f)) ? [f, readFileSync(join(ROOT, f))] : []));
}

/** Everything that goes into the page and the package. */
function pageSources() {
  const stamps = ['relaxed-simd', 'simd128'].map((variant) => readFileSync(join(ROOT, 'npm', 'wasm', variant, '.stamp')));
  return [...contents('www', 'npm', 'models', 'docs/manifest.schema.json', 'package-lock.json', 'vite.config.mjs', 'tsconfig.json', 'tsconfig.lib.json', 'scripts/build.mjs'), ...stamps];
}

/** The licences that must travel with what page and package contain. */
function copyLicenses(folder) {
  const target = join(ROOT, folder, 'licenses');
  cpSync(join(ROOT, 'models', 'licenses'), join(target, 'models'), { recursive: true });
  for (const name of ['LICENSE-MIT', 'LICENSE-APACHE']) cpSync(join(ROOT, name), join(target, 'framesift', name));
  for (const [name, folder] of [['mediabunny', ''], ['client-zip', ''], ['@jsquash/webp', ''], ['@jsquash/webp', 'codec']]) {
    const from = join(ROOT, 'node_modules', name, folder);
    const file = readdirSync(from).find((f) => /^licen[cs]e/i.test(f));
    if (file) cpSync(join(from, file), join(target, name, file));
  }
}

/** Declarations name their neighbours without an ending, which Node's way to resolve modules does not take. */
function completeImports(folder) {
  for (const file of readdirSync(folder).filter((name) => name.endsWith('.d.ts'))) {
    const text = readFileSync(join(folder, file), 'utf8');
    writeFileSync(join(folder, file), text.replace(/(from '\.\/[\w-]+)'/g, "$1.js'"));
  }
}

function buildLibrary(bin) {
  run(join(bin, 'vite'), ['build', '--mode', 'library']);
  run(join(bin, 'tsc'), ['-p', 'tsconfig.lib.json']);
  completeImports(join(ROOT, 'lib', 'types'));
  cpSync(join(ROOT, 'docs', 'manifest.schema.json'), join(ROOT, 'lib', 'manifest.schema.json'));
  copyLicenses('lib');
}

export async function build() {
  ensureNpmPackages();
  ensureRust();
  await buildWasm();
  mkdirSync(join(ROOT, '.cache'), { recursive: true });
  const stamp = join(ROOT, '.cache', 'dist.stamp');
  const bin = join(ROOT, 'node_modules', '.bin');
  unlessUnchanged(stamp, [join(ROOT, 'dist', 'index.html'), join(ROOT, 'lib', 'types', 'index.d.ts')], pageSources(), () => {
    run(join(bin, 'tsc'), ['-p', 'tsconfig.json']);
    run(join(bin, 'vite'), ['build']);
    copyLicenses('dist');
    buildLibrary(bin);
  });
}

if (process.argv[1] === fileURLToPath(import.meta.url)) await main(build);
