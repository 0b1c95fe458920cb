// Small real videos for the page's tests, made with FFmpeg from photos of people
// (npm @vladmandic/face-api, MIT). Made once, kept in .cache/media.
import { spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { copyFileSync, existsSync, mkdirSync, readFileSync, statSync, truncateSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { ROOT } from '../../scripts/lib/tools.mjs';

const FOLDER = join(ROOT, '.cache', 'media');
const PHOTOS = join(ROOT, 'node_modules', '@vladmandic', 'face-api', 'demo');

function ffmpeg(...args) {
  const result = spawnSync('ffmpeg', ['-v', 'error', '-y', ...args], { encoding: 'utf8' });
  if (result.status !== 0) throw new Error(`ffmpeg ${args.join(' ')}\n${result.stderr || result.error}`);
}

/** Presentation times of a file's video frames in seconds, in order, as ffprobe sees them. */
export function times(file) {
  const args = ['-v', 'error', '-select_streams', 'v:0', '-show_entries', 'frame=pts_time', '-of', 'csv=p=0', file];
  const result = spawnSync('ffprobe', args, { encoding: 'utf8', maxBuffer: 1 << 26 });
  return result.stdout.split(/[\s,]+/).filter(Boolean).map(Number);
}

const FPS = 25;
const SIZE = '640x360';

/**
 * The shots of the main video: photo, seconds, and a crop (as shares of the
 * photo) that stays or moves. The last two show people of the first two again.
 */
export const SHOTS = [
  { photo: 'sample6.jpg', seconds: 1.6, x: '0.05*iw', y: '0.03*ih', zoom: 0.9 },
  { photo: 'sample4.jpg', seconds: 2, x: '(0.02+0.12*t/2)*iw', y: '0.02*ih', zoom: 0.8 },
  { photo: 'sample3.jpg', seconds: 1.2, x: '0.2*iw', y: '0.1*ih', zoom: 0.75 },
  { photo: 'sample6.jpg', seconds: 1.6, x: '(0.02+0.06*t/1.6)*iw', y: '0.1*ih', zoom: 0.72 },
  { photo: 'sample4.jpg', seconds: 1.6, x: '0.1*iw', y: '0.06*ih', zoom: 0.7 },
];

/** First frame of each shot, and the number of frames after the last. */
export const SHOT_FRAMES = SHOTS.reduce((ends, s) => [...ends, ends.at(-1) + Math.round(s.seconds * FPS)], [0]);

function shotsFilter() {
  const shots = SHOTS.map(
    ({ x, y, zoom }, i) =>
      `[${i}:v]scale=1600:-2,crop=w=trunc(iw*${zoom}/2)*2:h=trunc(ow*9/32)*2:x='${x.replaceAll('iw', 'in_w')}':y='${y.replaceAll('ih', 'in_h')}',` +
      `scale=${SIZE.replace('x', ':')},setsar=1,format=yuv420p[v${i}]`,
  );
  return `${shots.join(';')};${SHOTS.map((_, i) => `[v${i}]`).join('')}concat=n=${SHOTS.length}:v=1:a=0[v]`;
}

function photoInputs() {
  return SHOTS.flatMap((s) => ['-loop', '1', '-framerate', String(FPS), '-t', String(s.seconds), '-i', join(PHOTOS, s.photo)]);
}

const H264 = ['-c:v', 'libx264', '-preset', 'veryfast', '-crf', '20', '-g', '25'];

const HDR =
  'scale=out_color_matrix=bt709:out_range=tv,zscale=transferin=bt709:primariesin=bt709:matrixin=bt709:' +
  'transfer=smpte2084:primaries=bt2020:matrix=bt2020nc:npl=203,format=yuv420p10le';

/** Each recipe writes one file; later ones may start from `people.mp4`. */
const RECIPES = {
  'people.mp4': (out) =>
    ffmpeg(...photoInputs(), '-filter_complex', shotsFilter(), '-map', '[v]', ...H264, '-bf', '3', '-movflags', '+faststart', out),
  // Its first shot dissolves into the second, from frame 25 to frame 40.
  'dissolve.mp4': (out, people) => {
    const shot = (from_s, to_s) => `[0:v]trim=${from_s}:${to_s},setpts=PTS-STARTPTS`;
    const dissolve = `${shot(0, 1.6)}[a];${shot(1.6, 3.6)}[b];[a][b]xfade=transition=fade:duration=0.6:offset=1[v]`;
    ffmpeg('-i', people, '-filter_complex', dissolve, '-map', '[v]', ...H264, out);
  },
  'vfr.mp4': (out, people) =>
    ffmpeg('-i', people, '-vf', "select='not(eq(mod(n,7),3))*not(eq(mod(n,11),5))'", '-fps_mode', 'vfr', ...H264, '-bf', '2', out),
  'rotated.mp4': (out, people) => ffmpeg('-i', people, '-c', 'copy', '-metadata:s:v:0', 'rotate=90', out),
  'fragmented.mp4': (out, people) => ffmpeg('-i', people, '-c', 'copy', '-movflags', '+frag_keyframe+empty_moov', out),
  'people.ts': (out, people) => ffmpeg('-i', people, '-c', 'copy', out),
  'people.mkv': (out, people) => ffmpeg('-i', people, '-c', 'copy', out),
  'vp9.webm': (out, people) =>
    ffmpeg('-i', people, '-t', '2', '-c:v', 'libvpx-vp9', '-deadline', 'realtime', '-cpu-used', '8', '-b:v', '800k', out),
  // High dynamic range: the same light, coded for it.
  'hdr.mp4': (out, people) =>
    ffmpeg('-i', people, '-t', '3.2', '-vf', HDR, '-c:v', 'libx264', '-preset', 'veryfast', '-crf', '16', '-g', '25', '-bf', '2', out),
  'long.mp4': (out, people) => ffmpeg('-stream_loop', '19', '-i', people, '-c', 'copy', out),
  'repeated.mp4': (out, people) => ffmpeg('-stream_loop', '4', '-i', people, '-c', 'copy', out),
  'hevc.mp4': (out, people) => ffmpeg('-i', people, '-t', '1', '-c:v', 'libx265', '-x265-params', 'log-level=error', '-tag:v', 'hvc1', out),
  'audio.mp4': (out) => ffmpeg('-f', 'lavfi', '-i', 'sine=d=2', '-c:a', 'aac', out),
  'empty.mp4': (out) => writeFileSync(out, ''),
  'text.mp4': (out) => writeFileSync(out, 'This is a letter, not a video.\n'.repeat(200)),
  // The index is in front (faststart), so what is left of the data can be read.
  'truncated.mp4': (out, people) => {
    copyFileSync(people, out);
    truncateSync(out, Math.floor(statSync(people).size * 0.6));
  },
  // The index is at the end, and so is lost.
  'headless.mp4': (out, people) => {
    ffmpeg('-i', people, '-c', 'copy', out);
    truncateSync(out, Math.floor(statSync(out).size * 0.6));
  },
  // A stretch in the middle overwritten: some frames are lost, what follows the next key frame is not.
  'damaged.mp4': (out, people) => {
    const bytes = readFileSync(people);
    bytes.fill(0xa5, Math.floor(bytes.length * 0.45), Math.floor(bytes.length * 0.5));
    writeFileSync(out, bytes);
  },
};

/** Path of a test video, made if need be. A change of this file makes all anew. */
export function media(name) {
  mkdirSync(FOLDER, { recursive: true });
  const stamp = join(FOLDER, '.stamp');
  const digest = createHash('sha256').update(readFileSync(fileURLToPath(import.meta.url))).digest('hex');
  const fresh = existsSync(stamp) && readFileSync(stamp, 'utf8') === digest;
  if (!fresh) {
    RECIPES['people.mp4'](join(FOLDER, 'people.mp4'));
    for (const [other, recipe] of Object.entries(RECIPES)) {
      if (other !== 'people.mp4') recipe(join(FOLDER, other), join(FOLDER, 'people.mp4'));
    }
    writeFileSync(stamp, digest);
  }
  return join(FOLDER, name);
}
