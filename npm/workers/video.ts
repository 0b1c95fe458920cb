/** Opens a local file: which track, what facts, and in plain words why not. */

import {
  BlobSource,
  EncodedPacketSink,
  Input,
  type InputVideoTrack,
  MATROSKA,
  MP4,
  MPEG_TS,
  QTFF,
  WEBM,
} from 'mediabunny';
import type { VideoFacts } from '../protocol';
import { UserError } from './failure';

export interface OpenVideo {
  file: File;
  input: Input;
  track: InputVideoTrack;
  facts: VideoFacts;
}

const CODEC_NAMES: Record<string, string> = { avc: 'H.264', hevc: 'HEVC (H.265)', vp8: 'VP8', vp9: 'VP9', av1: 'AV1' };
const READABLE = 'framesift reads MP4, MOV, MKV, WebM and MPEG-TS files.';

const CUT_OFF =
  'The file seems to be cut off or damaged. Copy or download it again; a recording that was interrupted can often be repaired with: ffmpeg -i input -c copy output.mp4';

/** `onRead` is told of every read, for a file that is long to open and one that never ends to differ. */
export async function openVideo(file: File, onRead: () => void = () => undefined): Promise<OpenVideo> {
  if (file.size === 0) {
    throw new UserError(`“${file.name}” is empty (0 bytes).`, 'Choose another file, or copy this one again from where it came.');
  }
  const source = new BlobSource(file);
  source.onread = onRead;
  const input = new Input({ source, formats: [MP4, QTFF, MATROSKA, WEBM, MPEG_TS] });
  try {
    if (!(await readIndex(file, () => input.canRead()))) {
      throw new UserError(
        `“${file.name}” is not a video file that framesift knows.`,
        `${READABLE} If it plays elsewhere, convert it, for example with: ffmpeg -i input -c:v libx264 output.mp4`,
      );
    }
    const track = await readIndex(file, () => input.getPrimaryVideoTrack());
    if (!track) {
      const others = await readIndex(file, () => input.getTracks());
      if (others.length > 0) {
        throw new UserError(`“${file.name}” has no video track, only ${kinds(others)}.`, 'Choose a file that shows a picture when you play it.');
      }
      throw new UserError(`“${file.name}” has no index of what it holds.`, CUT_OFF);
    }
    return { file, input, track, facts: await readIndex(file, () => facts(file, input, track)) };
  } catch (error) {
    input.dispose();
    throw error;
  }
}

/** A file whose index cannot be read is most often a download or recording that was cut off. */
async function readIndex<T>(file: File, read: () => Promise<T>): Promise<T> {
  try {
    return await read();
  } catch (error) {
    if (error instanceof UserError) throw error;
    throw new UserError(
      `The index of “${file.name}” cannot be read (${firstSentence(error)}).`,
      CUT_OFF,
    );
  }
}

/** What follows is for the demuxer's developers. */
function firstSentence(error: unknown): string {
  return (error instanceof Error ? error.message : String(error)).split('. ')[0] ?? '';
}

function kinds(tracks: { type: string }[]): string {
  return [...new Set(tracks.map((t) => t.type))].join(' and ');
}

async function facts(file: File, input: Input, track: InputVideoTrack): Promise<VideoFacts> {
  const codec = await track.getCodec();
  const parameters = await track.getCodecParameterString();
  if (!codec || !(await track.canDecode())) {
    const name = codec ? (CODEC_NAMES[codec] ?? codec) : 'what this video is coded with';
    throw new UserError(
      `This browser cannot decode ${name}${parameters ? ` (${parameters})` : ''}.`,
      codec === 'hevc'
        ? 'Chrome, Edge and Safari decode HEVC on machines whose graphics hardware does. Try one of them, or convert the file: ffmpeg -i input -c:v libx264 -crf 18 output.mp4'
        : 'Try another browser, or convert the file: ffmpeg -i input -c:v libx264 -crf 18 output.mp4',
    );
  }
  const stats = await track.computePacketStats(120);
  const start_s = Math.max(0, await track.getFirstTimestamp());
  // When the last frame ends.
  const end_s = await track.getDurationFromMetadata();
  return {
    name: file.name,
    size_bytes: file.size,
    container: (await input.getFormat()).name,
    codec: parameters ?? codec,
    start_s,
    duration_s: (end_s ?? (await track.computeDuration())) - start_s,
    ...(end_s && { stated_s: end_s - start_s }),
    width: await track.getDisplayWidth(),
    height: await track.getDisplayHeight(),
    rotation_deg: await track.getRotation(),
    frames_per_s: stats.averagePacketRate,
  };
}

/**
 * Times of the frames that the container lists for presentation, in seconds, ascending.
 * `onFrame` is told how many there are so far, and says whether to go on.
 */
export async function listedTimes(track: InputVideoTrack, onFrame: (count: number) => boolean): Promise<number[]> {
  const times_s: number[] = [];
  for await (const packet of new EncodedPacketSink(track).packets(undefined, undefined, { metadataOnly: true })) {
    if (isPresented(packet)) times_s.push(packet.timestamp);
    if (!onFrame(times_s.length)) break;
  }
  return times_s.sort((a, b) => a - b);
}

/** Not cut away by the file's own edit list, which leaves what begins at time zero or later. */
export function isPresented(item: { timestamp: number }): boolean {
  return item.timestamp > -1e-6;
}
