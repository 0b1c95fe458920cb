// What the project needs on a machine, and how to get it. Every function is a
// check first: nothing is installed or built that is already there.
import { spawnSync } from 'node:child_process';
import { existsSync, readFileSync, statSync } from 'node:fs';
import { delimiter, dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

export const ROOT = join(dirname(fileURLToPath(import.meta.url)), '..', '..');
/** Tools that belong to this checkout, so that other projects keep their versions. */
const TOOLS = join(ROOT, '.cache', 'tools');

export class SetupError extends Error {}

/**
 * Runs a command; fails with what to do about it. Its output goes to standard
 * error unless `stdout` is 1: standard output belongs to results, and
 * `npm run extract -- --json` may have to build first.
 */
export function run(command, args, { env = {}, advice = '', stdout = 2 } = {}) {
  const stdio = ['inherit', stdout, 2];
  const result = spawnSync(command, args, { cwd: ROOT, stdio, env: { ...process.env, ...env } });
  if (result.error || result.status !== 0) {
    const why = result.error ? result.error.message : `exit status ${result.status ?? result.signal}`;
    throw new SetupError(`${[command, ...args].join(' ')} failed (${why}).${advice ? ` ${advice}` : ''}`);
  }
}

/** Output of a command, or null when it cannot run or fails. */
export function output(command, args) {
  const result = spawnSync(command, args, { cwd: ROOT, encoding: 'utf8' });
  return result.status === 0 ? result.stdout.trim() : null;
}

export function onPath(name) {
  return (process.env.PATH ?? '').split(delimiter).map((dir) => join(dir, name)).find(existsSync);
}

/** npm packages as package-lock.json says. */
export function ensureNpmPackages() {
  const installed = join(ROOT, 'node_modules', '.package-lock.json');
  const wanted = join(ROOT, 'package-lock.json');
  if (existsSync(installed) && statSync(installed).mtimeMs >= statSync(wanted).mtimeMs) return;
  console.error('Installing npm packages …');
  run('npm', ['ci', '--no-audit', '--no-fund']);
}

export function ensureRust() {
  if (!output('cargo', ['--version'])) {
    throw new SetupError('Rust is missing. Install it with rustup (https://rustup.rs), then run this again.');
  }
  const sysroot = output('rustc', ['--print', 'sysroot']);
  if (sysroot && existsSync(join(sysroot, 'lib', 'rustlib', 'wasm32-unknown-unknown'))) return;
  console.error('Adding the wasm32-unknown-unknown target …');
  run('rustup', ['target', 'add', 'wasm32-unknown-unknown'], { advice: 'It needs rustup: https://rustup.rs' });
}

/** The wasm-bindgen CLI of exactly Cargo.lock's version; returns the folder of its programs. */
export function ensureWasmBindgen() {
  const lock = readFileSync(join(ROOT, 'Cargo.lock'), 'utf8');
  const version = /name = "wasm-bindgen"\nversion = "([^"]+)"/.exec(lock)?.[1];
  if (!version) throw new SetupError('Cargo.lock names no wasm-bindgen version.');
  const matches = (program) => output(program, ['--version'])?.split(' ')[1] === version;
  const own = join(TOOLS, 'bin');
  if (matches(join(own, 'wasm-bindgen'))) return own;
  const global = onPath('wasm-bindgen');
  if (global && onPath('wasm-bindgen-test-runner') && matches(global)) return dirname(global);
  console.error(`Installing wasm-bindgen ${version} into .cache/tools (about 3 minutes on two cores) …`);
  const args = ['install', 'wasm-bindgen-cli', '--version', version, '--no-default-features', '--root', TOOLS, '--force'];
  run('cargo', args, { env: { CARGO_TARGET_DIR: join(ROOT, 'target', 'tools') } });
  return own;
}

const PACKAGES = { chromium: 'chromium', chromedriver: 'chromium-driver', ffmpeg: 'ffmpeg', ffprobe: 'ffmpeg' };

/** Programs of the distribution that the tests and headless use need. */
export function ensurePrograms(...names) {
  const missing = names.filter((name) => !onPath(name));
  installPackages(missing, [...new Set(missing.map((name) => PACKAGES[name]))]);
}

const FFMPEG_LIBRARIES = ['libavcodec', 'libavformat', 'libavutil', 'libswscale'];

/** What the native build needs of the distribution: FFmpeg's libraries, and clang to read their headers. */
export function ensureFfmpegLibraries() {
  const missing = FFMPEG_LIBRARIES.filter((name) => output('pkg-config', ['--exists', name]) === null);
  const tools = ['pkg-config', 'clang'].filter((name) => !onPath(name));
  if (missing.length + tools.length === 0) return;
  installPackages([...tools, ...missing], ['pkg-config', 'clang', 'libclang-dev', ...FFMPEG_LIBRARIES.map((name) => `${name}-dev`)]);
}

/** Packages of the distribution for what is missing: installs them as root, otherwise says how. */
export function installPackages(missing, packages) {
  if (missing.length === 0) return;
  const install = `apt-get install -y --no-install-recommends ${packages.join(' ')}`;
  if (process.getuid?.() !== 0 || !onPath('apt-get')) {
    throw new SetupError(`Missing: ${missing.join(', ')}. Install with: sudo apt-get update && sudo ${install}`);
  }
  console.error(`Installing ${packages.join(', ')} …`);
  const env = { DEBIAN_FRONTEND: 'noninteractive' };
  run('apt-get', ['update', '-q'], { env });
  run('apt-get', install.split(' ').slice(1), { env });
}

/** Runs a script's main function; set-up problems end it with their text alone. */
export async function main(task) {
  try {
    await task();
  } catch (error) {
    console.error(error instanceof SetupError ? `\n${error.message}` : error);
    process.exit(1);
  }
}
