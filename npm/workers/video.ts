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
import { SAY } from '../messages';
import type { VideoFacts } from '../protocol';
import { UserError, reason } from './failure';

export interface OpenVideo {
  file: File;
  input: Input;
  track: InputVideoTrack;
  facts: VideoFacts;
}

const CODEC_NAMES: Record<string, string> = { avc: 'H.264', vp8: 'VP8', vp9: 'VP9', av1: 'AV1' };
/** `onRead` is told of every read, for a file that is long to open and one that never ends to differ. */
export async function openVideo(file: File, onRead: () => void = () => undefined): Promise<OpenVideo> {
  if (file.size === 0) {
    throw new UserError(SAY.empty(file.name));
  }
  const source = new BlobSource(file);
  source.onread = onRead;
  const input = new Input({ source, formats: [MP4, QTFF, MATROSKA, WEBM, MPEG_TS] });
  try {
    if (!(await readIndex(file, () => input.canRead()))) {
      throw new UserError(SAY.unknownFile(file.name));
    }
    const track = await readIndex(file, () => input.getPrimaryVideoTrack());
    if (!track) {
      const others = await readIndex(file, () => input.getTracks());
      const kinds = [...new Set(others.map(({ type }) => type))];
      throw new UserError(kinds.length > 0 ? SAY.noVideo(file.name, kinds) : SAY.noIndex(file.name));
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
    // What follows is for the demuxer's developers.
    const [first = ''] = reason(error).split('. ');
    throw new UserError(SAY.badIndex(file.name, first));
  }
}

async function facts(file: File, input: Input, track: InputVideoTrack): Promise<VideoFacts> {
  const codec = await track.getCodec();
  const parameters = await track.getCodecParameterString();
  if (!codec || !(await track.canDecode())) {
    throw new UserError(codec === 'hevc' ? SAY.noHevc(parameters) : SAY.noDecoder(codec ? (CODEC_NAMES[codec] ?? codec) : undefined, parameters));
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
