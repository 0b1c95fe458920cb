// MP4 files taken apart into boxes (ISO/IEC 14496-12, 4.2) and patched, for files that no encoder writes.
import { readFileSync, writeFileSync } from 'node:fs';

/** Boxes that hold nothing but boxes, on the way to the tables of samples. */
const CONTAINERS = new Set(['moov', 'trak', 'edts', 'mdia', 'minf', 'stbl']);

/** All boxes of a file, containers before what they hold: `{ type, start, body, end, parents }`, offsets in bytes. */
export function boxes(bytes, start = 0, end = bytes.length, parents = []) {
  const found = [];
  for (let at = start; at + 8 <= end; ) {
    const type = bytes.toString('latin1', at + 4, at + 8);
    const short = bytes.readUInt32BE(at);
    const size = short === 1 ? Number(bytes.readBigUInt64BE(at + 8)) : short || end - at;
    const box = { type, start: at, body: at + (short === 1 ? 16 : 8), end: at + size, parents };
    found.push(box);
    if (CONTAINERS.has(type)) found.push(...boxes(bytes, box.body, box.end, [...parents, box]));
    at = box.end;
  }
  return found;
}

/** The first box of a type, or the first byte of a pattern that boxes do not show (a sample entry's `avcC`). */
export function find(bytes, type) {
  const box = boxes(bytes).find((candidate) => candidate.type === type);
  if (box) return box;
  const at = bytes.indexOf(type, 0, 'latin1');
  if (at < 4) throw new Error(`there is no ${type}`);
  return { type, start: at - 4, body: at + 4, end: at - 4 + bytes.readUInt32BE(at - 4) };
}

/** Copies a file with `change(bytes)` done to it; what that returns, if anything, is written instead. */
export function patch(from, to, change) {
  const bytes = readFileSync(from);
  writeFileSync(to, change(bytes) ?? bytes);
}

/** The same file with its index's 32-bit chunk offsets as 64-bit ones, moved by `shift` bytes; the index must come last. */
export function farOffsets(bytes, shift) {
  const stco = find(bytes, 'stco');
  const count = bytes.readUInt32BE(stco.body + 4);
  const co64 = Buffer.alloc(16 + 8 * count);
  co64.writeUInt32BE(co64.length, 0);
  co64.write('co64', 4, 'latin1');
  co64.writeUInt32BE(count, 12);
  for (let i = 0; i < count; i++) {
    co64.writeBigUInt64BE(BigInt(bytes.readUInt32BE(stco.body + 8 + 4 * i)) + BigInt(shift), 16 + 8 * i);
  }
  const grown = co64.length - (stco.end - stco.start);
  for (const parent of stco.parents) bytes.writeUInt32BE(bytes.readUInt32BE(parent.start) + grown, parent.start);
  return Buffer.concat([bytes.subarray(0, stco.start), co64, bytes.subarray(stco.end)]);
}
