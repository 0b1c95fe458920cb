// Installs what building and linting need; `npm start` and `npm test` do so themselves.
import { ensureNpmPackages, ensureRust, ensureWasmBindgen, main } from './lib/tools.mjs';

await main(() => {
  ensureNpmPackages();
  ensureRust();
  ensureWasmBindgen();
});
