// `npm run lint`: ESLint, TypeScript, Clippy natively and for wasm; warnings are errors.
import { join } from 'node:path';
import { build } from './build.mjs';
import { ROOT, ensureFfmpegLibraries, main, run } from './lib/tools.mjs';

const CLIPPY = ['clippy', '--locked'];
const DENY = ['--', '-D', 'warnings'];

await main(async () => {
  ensureFfmpegLibraries();
  // Types are checked against those that wasm-bindgen generates.
  await build();
  run(join(ROOT, 'node_modules', '.bin', 'tsc'), ['-p', 'tsconfig.json']);
  run(join(ROOT, 'node_modules', '.bin', 'eslint'), ['.', '--max-warnings', '0']);
  run('cargo', [...CLIPPY, '--all-targets', ...DENY]);
  for (const features of [[], ['--features', 'relaxed-simd,tract']]) {
    const wasm = ['--release', '--lib', '--tests', '--no-default-features', '--target', 'wasm32-unknown-unknown', ...features];
    run('cargo', [...CLIPPY, ...wasm, ...DENY]);
  }
});
