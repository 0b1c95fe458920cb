// Installs what building and linting need; `npm start` and `npm test` do so themselves.
import { ensureFfmpegLibraries, ensureNpmPackages, ensureRust, ensureWasmBindgen, main } from './lib/tools.mjs';

await main(() => {
  ensureNpmPackages();
  ensureRust();
  ensureFfmpegLibraries();
  ensureWasmBindgen();
});
