// What a file holds according to FFmpeg's programs.
import { run } from './files.mjs';

/**
 * Frames that FFmpeg shows: `{ time_s, hash }`, hash being SHA-256 of the planes as they were
 * coded, without padding, before any rotation. Of broken files those that FFmpeg makes out.
 */
export function frames(file) {
  const lines = (program, ...args) => run(program, ['-v', 'quiet', ...args]).stdout.split('\n');
  const hashes = lines('ffmpeg', '-noautorotate', '-i', file, '-map', '0:V:0', '-fps_mode', 'passthrough', '-f', 'framehash', '-hash', 'sha256', '-')
    .filter((line) => /^0,/.test(line))
    .map((line) => line.split(',').at(-1).trim());
  const times = lines('ffprobe', '-select_streams', 'V:0', '-show_entries', 'frame=best_effort_timestamp_time', '-of', 'csv=p=0', file)
    .filter((line) => /^\d|^-\d/.test(line))
    .map((line) => Number.parseFloat(line));
  return times.map((time_s, i) => ({ time_s, hash: hashes[i] }));
}
