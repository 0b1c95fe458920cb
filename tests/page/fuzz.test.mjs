// Videos damaged at random never hang or crash the page; `npm run fuzz` tries many more.
import { test } from 'node:test';
import { fuzz } from '../../scripts/fuzz.mjs';

const FILES = 24;
const SEED = 7;

test(`${FILES} videos damaged at random end in a result or a message`, async () => {
  await fuzz(FILES, SEED);
});
