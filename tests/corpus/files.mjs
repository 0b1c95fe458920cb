// What real files do, one small file for each, made with FFmpeg and by patching bytes.
// Made once, kept in .cache/corpus; a change of this folder makes all anew.
import { spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { closeSync, copyFileSync, existsSync, ftruncateSync, mkdirSync, openSync, readFileSync, rmSync, statSync, truncateSync, writeFileSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { ROOT } from '../../scripts/lib/tools.mjs';
import { farOffsets, find, patch } from './mp4.mjs';

const FOLDER = join(ROOT, '.cache', 'corpus');

export function run(program, args, options = {}) {
  const result = spawnSync(program, args, { encoding: 'utf8', maxBuffer: 1 << 28, ...options });
  if (result.error) throw result.error;
  return result;
}

function ffmpeg(...args) {
  const { status, stderr } = run('ffmpeg', ['-v', 'error', '-y', ...args]);
  if (status !== 0) throw new Error(`ffmpeg ${args.join(' ')}\n${stderr}`);
}

/** Encodes a moving test pattern: 25 frames a second, 2 seconds unless told. */
const pattern = (out, args, { size = '320x180', seconds = 2 } = {}) =>
  ffmpeg('-f', 'lavfi', '-i', `testsrc2=size=${size}:rate=25:duration=${seconds}`, ...args, out);
const x264 = (...args) => ['-c:v', 'libx264', '-preset', 'veryfast', '-threads', '1', '-pix_fmt', 'yuv420p', ...args];
const gop = (keyint, more = '') => ['-x264-params', `keyint=${keyint}:min-keyint=${keyint}:scenecut=0${more}`];
const coded = (matrix, range, primaries = matrix, transfer = matrix) => [
  '-vf', `scale=out_color_matrix=${matrix === 'smpte170m' ? 'bt601' : matrix === 'bt2020nc' ? 'bt2020' : matrix}:out_range=${range}`,
  '-colorspace', matrix, '-color_primaries', primaries, '-color_trc', transfer, '-color_range', range,
];

/** Five seconds, a key frame every second, B-frames, index in front: what the broken files are made from. */
const BASE = 'base.mp4';
const cut = (share) => (out, base) => {
  copyFileSync(base, out);
  truncateSync(out, Math.floor(statSync(base).size * share));
};
/** Overwrites bytes of the media data, from and to as shares of it. */
const overwrite = (from, to, value) => (out, base) =>
  patch(base, out, (bytes) => {
    const { body, end } = find(bytes, 'mdat');
    const at = (share) => Math.floor(body + share * (end - body));
    bytes.fill(value, at(from), at(to));
  });
const bits = (every) => (out, base) =>
  patch(base, out, (bytes) => {
    const { body, end } = find(bytes, 'mdat');
    for (let at = body + 3000; at < end; at += every) bytes[at] ^= 1 << (at % 8);
  });
const table = (type, change) => (out, base) => patch(base, out, (bytes) => change(bytes, find(bytes, type)));

/** Transformation matrices of `tkhd` (14496-12, 8.3.2) in 16.16 fixed point, without the last column. */
const matrix = (a, b, c, d) => table('tkhd', (bytes, { body }) => {
  [a, b, 0, c, d].forEach((value, i) => bytes.writeInt32BE(i === 2 ? 0 : value * 65536, body + 40 + 4 * i));
});

/** Recordings of two seconds one after the other, the second from `start_s` on. */
const joined = (sizes, start_s) => (out) => {
  const parts = sizes.map((size, i) => {
    const part = `${out}.${i}.ts`;
    pattern(part, [...x264('-bf', '2'), '-output_ts_offset', String(i * start_s)], { size });
    const bytes = readFileSync(part);
    rmSync(part);
    return bytes;
  });
  writeFileSync(out, Buffer.concat(parts));
};

/**
 * `proves`: what the file is there for. `codec`: a browser may lack the decoder. `pixels: false`: FFmpeg's
 * program itself changes them. `twice`: so many frames are left out as their times come twice. `rejoined`:
 * the page cannot follow times that begin again, and says so. `shift_s`: FFmpeg moves the first frame to zero.
 * `broken`: frames are damaged or gone; of those at least `least` are delivered, or the file is `refused`
 * with such a message.
 */
export const FILES = {
  // Coding
  'h264-baseline.mp4': { proves: 'H.264 baseline, no reordering', make: (out) => pattern(out, x264('-profile:v', 'baseline')) },
  'h264-main.mp4': { proves: 'H.264 main, B-frames', make: (out) => pattern(out, x264('-profile:v', 'main', '-bf', '2')) },
  'h264-pyramid.mp4': { proves: 'H.264 high, B-pyramid, five references', make: (out) => pattern(out, x264('-bf', '5', '-refs', '5', '-b-pyramid', 'normal', '-b_strategy', '0')) },
  'h264-open-gop.mp4': { proves: 'frames before a key frame that need the one before it', make: (out) => pattern(out, x264('-bf', '3', '-b_strategy', '0', ...gop(12, ':open-gop=1'))) },
  'h264-interlaced.mp4': { proves: 'interlaced coding', make: (out) => pattern(out, x264('-flags', '+ildct+ilme', '-x264opts', 'tff=1')) },
  'h264-10bit.mp4': { proves: '10 bits', codec: true, make: (out) => pattern(out, x264('-pix_fmt', 'yuv420p10le')) },
  'h264-422.mp4': { proves: '4:2:2', codec: true, make: (out) => pattern(out, x264('-pix_fmt', 'yuv422p')) },
  'h264-444.mp4': { proves: '4:4:4', codec: true, make: (out) => pattern(out, x264('-pix_fmt', 'yuv444p')) },
  'h264-long-gop.mp4': { proves: 'one key frame in 20 seconds', make: (out) => pattern(out, x264(...gop(1000)), { seconds: 20 }) },
  'h264-one-frame.mp4': { proves: 'a single frame', make: (out) => pattern(out, x264('-frames:v', '1')) },
  'h264-two-frames.mkv': { proves: 'two frames, Matroska', make: (out) => pattern(out, x264('-frames:v', '2')) },
  'h264-all-key.mp4': { proves: 'nothing but key frames', make: (out) => pattern(out, x264('-g', '1')) },
  'vp8.webm': { proves: 'VP8', make: (out) => pattern(out, ['-c:v', 'libvpx', '-b:v', '600k', '-deadline', 'realtime', '-auto-alt-ref', '1', '-lag-in-frames', '10']) },
  'vp9.webm': { proves: 'VP9 with frames that are never shown', make: (out) => pattern(out, ['-c:v', 'libvpx-vp9', '-b:v', '600k', '-deadline', 'good', '-cpu-used', '5', '-auto-alt-ref', '1', '-lag-in-frames', '16']) },
  'vp9-odd.webm': { proves: 'odd width and height', make: (out) => pattern(out, ['-c:v', 'libvpx-vp9', '-b:v', '600k', '-deadline', 'realtime', '-cpu-used', '8'], { size: '321x179' }) },
  'vp9-10bit.webm': { proves: 'VP9 profile 2, 10 bits', codec: true, make: (out) => pattern(out, ['-c:v', 'libvpx-vp9', '-b:v', '600k', '-deadline', 'realtime', '-cpu-used', '8', '-pix_fmt', 'yuv420p10le']) },
  'vp9-444.webm': { proves: 'VP9 profile 1, 4:4:4', codec: true, make: (out) => pattern(out, ['-c:v', 'libvpx-vp9', '-b:v', '600k', '-deadline', 'realtime', '-cpu-used', '8', '-pix_fmt', 'yuv444p']) },
  'av1.mp4': { proves: 'AV1', make: (out) => pattern(out, ['-c:v', 'libsvtav1', '-preset', '10', '-svtav1-params', 'lp=1', '-g', '25'], { size: '320x192' }) },
  'av1-10bit.mkv': { proves: 'AV1, 10 bits', codec: true, make: (out) => pattern(out, ['-c:v', 'libsvtav1', '-preset', '10', '-g', '25', '-pix_fmt', 'yuv420p10le'], { size: '320x192' }) },
  'hevc.mp4': { proves: 'HEVC', codec: true, make: (out) => pattern(out, ['-c:v', 'libx265', '-preset', 'ultrafast', '-x265-params', 'log-level=error', '-tag:v', 'hvc1']) },
  'hevc-10bit.mkv': { proves: 'HEVC, 10 bits', codec: true, make: (out) => pattern(out, ['-c:v', 'libx265', '-preset', 'ultrafast', '-x265-params', 'log-level=error', '-pix_fmt', 'yuv420p10le']) },
  'mpeg4.mp4': { proves: 'MPEG-4 part 2, which browsers do not decode', codec: true, make: (out) => pattern(out, ['-c:v', 'mpeg4', '-q:v', '4', '-bf', '2']) },
  'prores.mov': { proves: 'ProRes, which browsers do not decode', codec: true, make: (out) => pattern(out, ['-c:v', 'prores_ks', '-profile:v', '0']) },

  // Colour
  'bt601-limited.mp4': { proves: 'BT.601, limited range', make: (out) => pattern(out, x264(...coded('smpte170m', 'tv'))) },
  'bt709-full.mp4': { proves: 'BT.709, full range', make: (out) => pattern(out, x264(...coded('bt709', 'pc'))) },
  'bt2020.mp4': { proves: 'BT.2020', make: (out) => pattern(out, x264(...coded('bt2020nc', 'tv', 'bt2020', 'bt2020-10'))) },
  'hdr10.mp4': { proves: 'tagged PQ, 10 bits', codec: true, make: (out) => pattern(out, x264('-pix_fmt', 'yuv420p10le', ...coded('bt2020nc', 'tv', 'bt2020', 'smpte2084'))) },
  'hlg.mp4': { proves: 'tagged HLG, 10 bits', codec: true, make: (out) => pattern(out, x264('-pix_fmt', 'yuv420p10le', ...coded('bt2020nc', 'tv', 'bt2020', 'arib-std-b67'))) },

  // Geometry
  'sar.mp4': { proves: 'pixels that are not square', make: (out) => pattern(out, x264('-vf', 'setsar=4/3')) },
  'crop.mp4': { proves: 'a size that is no multiple of a macroblock', make: (out) => pattern(out, x264(), { size: '310x170' }) },
  'rotate-90.mp4': { proves: 'turned by 90°', make: (out, base) => ffmpeg('-i', base, '-c', 'copy', '-metadata:s:v:0', 'rotate=90', out) },
  'rotate-180.mp4': { proves: 'turned by 180°', make: (out, base) => ffmpeg('-i', base, '-c', 'copy', '-metadata:s:v:0', 'rotate=180', out) },
  'rotate-270.mp4': { proves: 'turned by 270°', make: (out, base) => ffmpeg('-i', base, '-c', 'copy', '-metadata:s:v:0', 'rotate=270', out) },
  'mirrored.mp4': { proves: 'mirrored by the track’s matrix', make: matrix(-1, 0, 0, 1) },
  'resized.ts': { proves: 'another resolution half way', pixels: false, make: joined(['320x180', '480x270'], 2.2) },
  'large.mp4': { proves: '4K', make: (out) => pattern(out, x264('-preset', 'ultrafast'), { size: '3840x2160', seconds: 1 }) },
  'tiny.mp4': { proves: '16 by 16 pixels', make: (out) => pattern(out, x264(), { size: '16x16' }) },

  // Time
  'vfr.mp4': { proves: 'a variable frame rate', make: (out) => pattern(out, [...x264('-bf', '2'), '-vf', "select='not(eq(mod(n,7),3))*not(eq(mod(n,11),5))'", '-fps_mode', 'vfr']) },
  'vfr.mkv': { proves: 'the same in Matroska, milliseconds', make: (out) => pattern(out, [...x264('-bf', '2'), '-vf', "select='not(eq(mod(n,7),3))*not(eq(mod(n,11),5))'", '-fps_mode', 'vfr']) },
  'offset.mp4': { proves: 'a late start by an empty edit', make: (out) => pattern(out, [...x264('-bf', '2'), '-output_ts_offset', '1.5']) },
  'offset.mkv': { proves: 'a late start', make: (out) => pattern(out, [...x264('-bf', '2'), '-output_ts_offset', '1.5']) },
  'late-video.mp4': { proves: 'sound that starts before the picture', make: (out) => ffmpeg('-f', 'lavfi', '-i', 'sine=d=2', '-itsoffset', '0.5', '-f', 'lavfi', '-i', 'testsrc2=size=320x180:rate=25:duration=2', ...x264('-bf', '2'), '-c:a', 'aac', out) },
  'joined.ts': { proves: 'recordings joined so that two frames come twice', twice: 2, make: joined(['320x180', '320x180'], 2) },
  'rejoined.ts': { proves: 'recordings joined, each with times from zero', rejoined: true, make: joined(['320x180', '320x180'], 0) },
  'cut-at-key.mp4': { proves: 'an edit list that cuts at a key frame', make: (out, base) => ffmpeg('-ss', '2', '-i', base, '-c', 'copy', out) },
  'cut-inside.mp4': { proves: 'an edit list that cuts between key frames and within a frame', shift_s: 0.02, make: (out, base) => ffmpeg('-ss', '1.5', '-i', base, '-c', 'copy', out) },
  'negative-offsets.mp4': { proves: 'negative composition offsets', make: (out) => pattern(out, [...x264('-bf', '3'), '-movflags', 'negative_cts_offsets']) },
  'no-edit-list.mp4': { proves: 'B-frames and no edit list: starts late', make: (out) => pattern(out, [...x264('-bf', '3'), '-use_editlist', '0']) },

  // Containers
  'fragmented.mp4': { proves: 'fragments', make: (out, base) => ffmpeg('-i', base, '-c', 'copy', '-movflags', '+frag_keyframe+empty_moov+default_base_moof', out) },
  'index-last.mp4': { proves: 'an index at the end', make: (out, base) => ffmpeg('-i', base, '-c', 'copy', out) },
  'plain.mov': { proves: 'QuickTime', make: (out, base) => ffmpeg('-i', base, '-c', 'copy', out) },
  'plain.mkv': { proves: 'Matroska', make: (out, base) => ffmpeg('-i', base, '-c', 'copy', out) },
  'live.mkv': { proves: 'Matroska without an index or a duration', make: (out, base) => ffmpeg('-i', base, '-c', 'copy', '-live', '1', out) },
  'plain.ts': { proves: 'MPEG-TS', make: (out, base) => ffmpeg('-i', base, '-c', 'copy', out) },
  'two-videos.mp4': { proves: 'two video tracks', make: (out, base) => ffmpeg('-i', base, '-f', 'lavfi', '-i', 'testsrc=size=160x90:rate=10:duration=2', '-map', '0:v', '-map', '1:v', ...x264('-bf', '2'), '-disposition:v:0', 'default', '-disposition:v:1', '0', out) },
  'cover.mp4': { proves: 'a cover picture as a second track', make: (out, base) => {
    const cover = `${out}.png`;
    ffmpeg('-i', base, '-frames:v', '1', cover);
    ffmpeg('-i', base, '-i', cover, '-map', '0', '-map', '1', '-c:v:0', 'copy', '-c:v:1', 'png', '-disposition:v:1', 'attached_pic', out);
    rmSync(cover);
  } },
  'huge.mp4': {
    proves: 'more than 4 GB, 64-bit offsets (a sparse file)',
    make: (out, base) => {
      const late = `${out}.mp4`;
      ffmpeg('-i', base, '-c', 'copy', late);
      const bytes = readFileSync(late);
      rmSync(late);
      const mdat = find(bytes, 'mdat').start;
      const gap = 4.5 * 2 ** 30;
      const free = Buffer.alloc(16);
      free.writeUInt32BE(1, 0);
      free.write('free', 4, 'latin1');
      free.writeBigUInt64BE(BigInt(gap), 8);
      const rest = farOffsets(bytes, gap).subarray(mdat);
      const file = openSync(out, 'w');
      writeSync(file, bytes, 0, mdat, 0);
      writeSync(file, free, 0, free.length, mdat);
      writeSync(file, rest, 0, rest.length, mdat + gap);
      ftruncateSync(file, mdat + gap + rest.length);
      closeSync(file);
    },
  },

  // Broken
  ...Object.fromEntries([0.2, 0.4, 0.6, 0.8, 0.95].map((share) => [
    `truncated-${100 * share}.mp4`,
    { proves: `cut off after ${100 * share} % of its bytes, index in front`, broken: true, least: Math.floor(125 * share) - 35, make: cut(share) },
  ])),
  'truncated.mkv': { proves: 'Matroska, cut off', broken: true, least: 40, make: (out, base) => (ffmpeg('-i', base, '-c', 'copy', out), truncateSync(out, Math.floor(statSync(out).size * 0.6))) },
  'truncated.ts': { proves: 'MPEG-TS, cut off', broken: true, least: 40, make: (out, base) => (ffmpeg('-i', base, '-c', 'copy', out), truncateSync(out, Math.floor(statSync(out).size * 0.6))) },
  'truncated-fragments.mp4': { proves: 'fragments, cut off', broken: true, least: 40, make: (out, base) => (ffmpeg('-i', base, '-c', 'copy', '-movflags', '+frag_keyframe+empty_moov+default_base_moof', out), truncateSync(out, Math.floor(statSync(out).size * 0.6))) },
  'headless.mp4': { proves: 'cut off, index at the end and so lost', broken: true, refused: /index/i, make: (out, base) => (ffmpeg('-i', base, '-c', 'copy', out), truncateSync(out, Math.floor(statSync(out).size * 0.6))) },
  'zeros.mp4': { proves: 'a stretch of zeros', broken: true, least: 70, make: overwrite(0.45, 0.5, 0) },
  'zeros-start.mp4': { proves: 'zeros at the start', broken: true, least: 70, make: overwrite(0, 0.05, 0) },
  'zeros-end.mp4': { proves: 'zeros at the end', broken: true, least: 90, make: overwrite(0.95, 1, 0) },
  'noise.mp4': { proves: 'two stretches overwritten', broken: true, least: 40, make: (out, base) => (overwrite(0.3, 0.34, 0xa5)(out, base), overwrite(0.7, 0.72, 0x5a)(out, out)) },
  'bits-few.mp4': { proves: 'a flipped bit every 20 kB', broken: true, least: 20, make: bits(20_000) },
  'bits-many.mp4': { proves: 'a flipped bit every 500 bytes', broken: true, least: 0, make: bits(500) },
  'bad-avcc.mp4': { proves: 'a decoder configuration of garbage', broken: true, least: 0, make: table('avcC', (bytes, { body, end }) => void bytes.fill(0xff, body + 6, end)) },
  'no-sps.mp4': { proves: 'a decoder configuration without parameter sets', broken: true, least: 0, make: table('avcC', (bytes, { body }) => void (bytes[body + 5] = 0xe0)) },
  'wrong-offsets.mp4': { proves: 'chunk offsets that are 1000 bytes off', broken: true, least: 0, make: table('stco', (bytes, { body }) => {
    for (let i = 0; i < bytes.readUInt32BE(body + 4); i++) bytes.writeUInt32BE(bytes.readUInt32BE(body + 8 + 4 * i) + 1000, body + 8 + 4 * i);
  }) },
  'offsets-beyond.mp4': { proves: 'chunk offsets beyond the end of the file', broken: true, least: 0, make: table('stco', (bytes, { body }) => {
    for (let i = 0; i < bytes.readUInt32BE(body + 4); i++) bytes.writeUInt32BE(0x7fff0000, body + 8 + 4 * i);
  }) },
  'lying-duration.mp4': { proves: 'a header that claims 10 hours', make: (out, base) => {
    table('mvhd', (bytes, { body }) => void bytes.writeUInt32BE(36_000_000, body + 16))(out, base);
    table('mdhd', (bytes, { body }) => void bytes.writeUInt32BE(bytes.readUInt32BE(body + 12) * 36_000, body + 16))(out, out);
  } },
  'lying-count.mp4': { proves: 'an index that claims 3 more frames than it has sizes for', broken: true, least: 100, make: table('stts', (bytes, { body }) => void bytes.writeUInt32BE(bytes.readUInt32BE(body + 8) + 3, body + 8)) },
  'short-count.mp4': { proves: 'an index with times for only 100 of 125 frames', broken: true, least: 60, make: table('stts', (bytes, { body }) => void bytes.writeUInt32BE(100, body + 8)) },
  'million-frames.mp4': { proves: 'a table of sizes that claims 4 thousand million entries', broken: true, least: 0, make: table('stsz', (bytes, { body }) => void bytes.writeUInt32BE(0xffffffff, body + 8)) },
  'huge-sample.mp4': { proves: 'one sample of 2 GB', broken: true, least: 25, make: table('stsz', (bytes, { body }) => void bytes.writeUInt32BE(0x7fffffff, body + 12 + 4 * 60)) },
  'empty-samples.mp4': { proves: 'samples of 0 bytes', broken: true, least: 20, make: table('stsz', (bytes, { body }) => {
    for (const i of [30, 31, 60]) bytes.writeUInt32BE(0, body + 12 + 4 * i);
  }) },
  'huge-box.mp4': { proves: 'a box of 4 GB in a small file', broken: true, least: 0, make: table('moov', (bytes, { start }) => void bytes.writeUInt32BE(0xfffffff0, start)) },
  'huge-picture.mp4': { proves: 'a track header that claims 65535 by 65535 pixels', broken: true, least: 0, make: table('avc1', (bytes, { body }) => void bytes.writeUInt32BE(0xffffffff, body + 24)) },
  'empty.mp4': { proves: 'no bytes', broken: true, refused: /empty|0 bytes/i, make: (out) => writeFileSync(out, '') },
  'text.mp4': { proves: 'a letter', broken: true, refused: /not? a? ?video file/i, make: (out) => writeFileSync(out, 'This is a letter, not a video.\n'.repeat(200)) },
  'sound.mp4': { proves: 'sound only', broken: true, refused: /no video track/i, make: (out) => ffmpeg('-f', 'lavfi', '-i', 'sine=d=2', '-c:a', 'aac', out) },
};

/** Path of the file that the broken ones are made from. */
export const base = () => path(BASE);

/** Path of a file of the corpus, made if need be. */
export function path(name) {
  mkdirSync(FOLDER, { recursive: true });
  const stamp = join(FOLDER, '.stamp');
  const sources = ['files.mjs', 'mp4.mjs'].map((file) => readFileSync(fileURLToPath(new URL(file, import.meta.url))));
  const digest = createHash('sha256').update(Buffer.concat(sources)).digest('hex');
  if (!existsSync(stamp) || readFileSync(stamp, 'utf8') !== digest) {
    rmSync(FOLDER, { recursive: true });
    mkdirSync(FOLDER);
    const from = join(FOLDER, BASE);
    pattern(from, [...x264('-bf', '3', '-movflags', '+faststart'), ...gop(25)], { seconds: 5 });
    for (const [other, { make }] of Object.entries(FILES)) make(join(FOLDER, other), from);
    writeFileSync(stamp, digest);
  }
  return join(FOLDER, name);
}
