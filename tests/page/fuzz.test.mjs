// Videos damaged at random never hang or crash the page; `npm run fuzz` tries many more.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { fuzz } from '../../scripts/fuzz.mjs';

const FILES = 24;
const SEED = 7;

test(`${FILES} videos damaged at random end in a result or a message`, async () => {
  const { refused, failed, short, whole } = await fuzz(FILES, SEED);
  assert.ok(refused + failed > 0 && short + whole > 0, 'some of either kind');
  assert.equal(refused + failed + short + whole, FILES);
});
