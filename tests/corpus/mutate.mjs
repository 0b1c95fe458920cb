// Videos that no one made on purpose: bytes of sound ones changed at random, the same for the same seed.

/** Mulberry32 (T. Ettinger): small, and good enough to choose places with. Numbers from 0 to 1. */
export function random(seed) {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}

/** Values that lengths, counts and offsets are not expected to have. */
const EXTREMES = [0, 1, 0x7f, 0xff, 0x7fff, 0xffff, 0x7fffffff, 0x80000000, 0xffffffff];
/** Where indexes mostly lie: at either end. */
const INDEX_BYTES = 4096;

const MUTATIONS = {
  bits(bytes, below) {
    for (let i = 1 + below(32); i > 0; i--) bytes[below(bytes.length)] ^= 1 << below(8);
  },
  field(bytes, below) {
    for (let i = 1 + below(4); i > 0; i--) {
      const near = below(Math.min(INDEX_BYTES, bytes.length - 4));
      const at = below(3) > 0 ? near : bytes.length - 4 - near;
      bytes.writeUInt32BE(EXTREMES[below(EXTREMES.length)], at);
    }
  },
  index(bytes, below) {
    for (let i = 1 + below(16); i > 0; i--) bytes[below(Math.min(INDEX_BYTES, bytes.length))] = below(256);
  },
  overwrite(bytes, below) {
    const start = below(bytes.length);
    bytes.fill(below(256), start, Math.min(bytes.length, start + below(8192)));
  },
  cut: (bytes, below) => bytes.subarray(0, below(bytes.length)),
  remove(bytes, below) {
    const start = below(bytes.length);
    return Buffer.concat([bytes.subarray(0, start), bytes.subarray(start + 1 + below(4096))]);
  },
  insert(bytes, below) {
    const [from, to] = [below(bytes.length), below(bytes.length)];
    return Buffer.concat([bytes.subarray(0, to), bytes.subarray(from, from + 1 + below(4096)), bytes.subarray(to)]);
  },
};

/** `{ name, bytes }`: the name says what was done. */
export function mutate(bytes, seed) {
  const next = random(seed);
  const below = (limit) => Math.floor(next() * Math.max(1, limit));
  let changed = Buffer.from(bytes);
  const done = [];
  for (let i = 1 + below(3); i > 0 && changed.length > 8; i--) {
    const name = Object.keys(MUTATIONS)[below(Object.keys(MUTATIONS).length)];
    changed = MUTATIONS[name](changed, below) ?? changed;
    done.push(name);
  }
  return { name: done.join('-'), bytes: changed };
}
