// Reading ZIP archives that the page has written.
import { createWriteStream, mkdirSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { buffer } from 'node:stream/consumers';
import { pipeline } from 'node:stream/promises';

async function* entriesOf(file) {
  const { openPromise } = await import('yauzl');
  const archive = await openPromise(file, { lazyEntries: true });
  for await (const entry of archive.eachEntry()) yield [entry.fileName, () => archive.openReadStreamPromise(entry)];
}

/** Everything in an archive: Map of name to bytes. */
export async function readZip(file) {
  const entries = new Map();
  for await (const [name, open] of entriesOf(file)) entries.set(name, await buffer(await open()));
  return entries;
}

/** Unpacks into `folder`, one entry after the other. yauzl refuses names that would leave it. */
export async function unpackZip(file, folder) {
  for await (const [name, open] of entriesOf(file)) {
    const target = join(folder, name);
    mkdirSync(dirname(target), { recursive: true });
    await pipeline(await open(), createWriteStream(target));
  }
}
