/**
 * Frames of a track, all of them in presentation order, also past errors, or
 * some of them; and their pixels in the decoder's own format.
 */

import { EncodedPacketSink, type InputVideoTrack, type VideoSample, VideoSampleSink } from 'mediabunny';
import { SAY } from '../messages';
import { frameSink, framesAt } from './decoder';
import { reason } from './failure';
import { isPresented } from './video';

/** Presentation times are equal when they differ by less than this. */
const SAME_TIME_S = 0.0005;
/** After so many gaps in a row that another decoder could not fill either, gaps are taken as they are. */
const MOST_VAIN_GAPS = 8;

/** The frames of a track from some time on, as long as there is no error. */
export function framesFrom(track: InputVideoTrack, start_s: number): AsyncGenerator<VideoSample, void, unknown> {
  return frameSink(track).samples(start_s);
}

/**
 * All presented frames, at the times that the container lists (`times_s`, ascending).
 * A decoder gives up at the first damaged packet, and what it had decoded by then is
 * lost with it; some lose frames without a word, as where the resolution changes. So
 * wherever listed times are passed over, what can be decoded of them is decoded by
 * another decoder, and then all goes on from there, or after an error from the next
 * key frame. `note` is told in words of each error and of each frame that was left out;
 * `onTry` of each try to decode a damaged stretch, which may take long. `after_s`: goes on
 * behind the frame at that time.
 */
export async function* decodedFrames(
  track: InputVideoTrack,
  times_s: number[],
  note: (text: string) => void,
  onTry: () => void = () => undefined,
  after_s?: number,
): AsyncGenerator<VideoSample, void, undefined> {
  const packets = new EncodedPacketSink(track);
  let resume_s = after_s;
  let last_s = after_s ?? -Infinity;
  /** After a restart the decoder may repeat what came until then. */
  let known_s = last_s;
  let next = times_s.filter((time_s) => time_s <= last_s + SAME_TIME_S).length;
  let vain = 0;
  /** The listed times before `end_s` that have not come. */
  const passedOver = (end_s: number) => {
    const start = next;
    while (next < times_s.length && (times_s[next] as number) < end_s - SAME_TIME_S) next += 1;
    return times_s.slice(start, next).filter((time_s, i, all) => time_s > Math.max(last_s, all[i - 1] ?? -Infinity) + SAME_TIME_S);
  };
  async function* recovered(gap: number[]): AsyncGenerator<VideoSample, void, undefined> {
    if (gap.length === 0 || vain >= MOST_VAIN_GAPS) return;
    vain += 1;
    for await (const sample of samplesAt(track, gap.slice(0, await decodable(track, gap, onTry)))) {
      if (!sample) continue;
      vain = 0;
      last_s = sample.timestamp;
      yield sample;
    }
  }
  for (;;) {
    try {
      for await (const sample of frameSink(track).samples(resume_s)) {
        if (!isPresented(sample) || sample.timestamp <= last_s) {
          if (isPresented(sample) && sample.timestamp > known_s) note(SAY.notLater(last_s));
          sample.close();
          continue;
        }
        try {
          yield* recovered(passedOver(sample.timestamp));
        } catch (error) {
          sample.close();
          throw error;
        }
        last_s = sample.timestamp;
        yield sample;
      }
      yield* recovered(passedOver(Infinity));
      return;
    } catch (error) {
      const failed_s = Math.max(last_s, resume_s ?? 0);
      note(SAY.decodingFailed(failed_s, reason(error)));
      resume_s = await nextKey(packets, failed_s);
      yield* recovered(passedOver(resume_s ?? Infinity));
      known_s = last_s;
      if (resume_s === undefined) return;
    }
  }
}

/**
 * How many of these frames come before what cannot be decoded: frames after a damaged
 * one need it until the next key frame, so the last good one can be searched for. Each
 * try decodes from the key frame on, so tries are few: strides of eight times, then halves.
 */
async function decodable(track: InputVideoTrack, times_s: number[], onTry: () => void): Promise<number> {
  const decodes = async (count: number) => {
    onTry();
    for await (const sample of samplesAt(track, [times_s[count - 1] as number])) {
      sample?.close();
      return sample !== null;
    }
    return false;
  };
  let good = 0;
  let bad = times_s.length + 1;
  for (let count = 1; good < times_s.length; count = Math.min(8 * count, times_s.length)) {
    if (await decodes(count)) good = count;
    else {
      bad = count;
      break;
    }
  }
  while (bad - good > 1) {
    const middle = Math.floor((good + bad) / 2);
    if (await decodes(middle)) good = middle;
    else bad = middle;
  }
  return good;
}

/** The frames at some presentation times, in order; `null` where decoding fails. */
export async function* samplesAt(
  track: InputVideoTrack,
  times_s: number[],
): AsyncGenerator<VideoSample | null, void, undefined> {
  let next = 0;
  const match = (sample: VideoSample | null, time_s: number | undefined) => {
    if (sample && time_s !== undefined && Math.abs(sample.timestamp - time_s) < SAME_TIME_S) return sample;
    sample?.close();
    return null;
  };
  while (next < times_s.length) {
    try {
      for await (const sample of framesAt(track, times_s.slice(next))) {
        yield match(sample, times_s[next++]);
      }
      // The track ended before the last wanted time.
      for (; next < times_s.length; next++) yield null;
    } catch {
      // The decoder gave up on this one or on one soon after it: this one gets a
      // decoder of its own, the others a new one.
      const time_s = times_s[next++] ?? 0;
      const single = await new VideoSampleSink(track).getSample(time_s).catch(() => null);
      yield match(single, time_s);
    }
  }
}

/** Time of the first key frame after `time_s`, if there is one that can be read. */
async function nextKey(packets: EncodedPacketSink, time_s: number): Promise<number | undefined> {
  try {
    const options = { metadataOnly: true };
    let key = (await packets.getKeyPacket(time_s, options)) ?? (await packets.getFirstKeyPacket(options));
    while (key && key.timestamp <= time_s) key = await packets.getNextKeyPacket(key, options);
    return key?.timestamp;
  } catch {
    return undefined;
  }
}

/** `FrameLayout` of `src/frame.rs`. */
export interface FrameLayout {
  format: string;
  width: number;
  height: number;
  planes: { offset: number; stride: number }[];
  rotation_deg: number;
  flip: boolean;
  display_width: number;
  display_height: number;
  matrix: 'bt601' | 'bt709' | 'bt2020';
  full_range: boolean;
  transfer: Transfer;
}

/** `sdr`, or which high dynamic range. */
export type Transfer = 'sdr' | 'pq' | 'hlg';

/** A place for a frame of so many bytes: in wasm memory (`Scan.reserve`) or a buffer. */
export type Reserve = (bytes: number) => Uint8Array<ArrayBuffer>;

/**
 * Copies a frame's pixels in the decoder's own format. A frame
 * without a readable format (some hardware decoders) goes through a canvas,
 * already turned upright.
 */
export async function copyFrame(sample: VideoSample, reserve: Reserve): Promise<FrameLayout> {
  const { width, height } = sample.visibleRect;
  const display = { display_width: sample.displayWidth, display_height: sample.displayHeight };
  if (sample.format === null) {
    const canvas = new OffscreenCanvas(sample.displayWidth, sample.displayHeight);
    const context = canvas.getContext('2d', { willReadFrequently: true });
    if (!context) throw new Error('no 2D canvas for a frame without a pixel format');
    sample.draw(context, 0, 0, canvas.width, canvas.height);
    const pixels = context.getImageData(0, 0, canvas.width, canvas.height).data;
    reserve(pixels.byteLength).set(pixels);
    return {
      format: 'RGBA',
      width: canvas.width,
      height: canvas.height,
      planes: [{ offset: 0, stride: canvas.width * 4 }],
      rotation_deg: 0,
      flip: false,
      ...display,
      matrix: 'bt709',
      full_range: true,
      // The canvas is sRGB: the browser has tone-mapped it.
      transfer: 'sdr',
    };
  }
  const planes = await sample.copyTo(reserve(sample.allocationSize()));
  return {
    format: sample.format,
    width,
    height,
    planes: planes.map(({ offset, stride }) => ({ offset, stride })),
    rotation_deg: sample.rotation,
    flip: sample.flip,
    ...display,
    matrix: matrixOf(sample.colorSpace.matrix, height),
    full_range: sample.colorSpace.fullRange ?? false,
    transfer: transferOf(sample.colorSpace.transfer),
  };
}

function transferOf(transfer: string | null): Transfer {
  return transfer === 'pq' || transfer === 'hlg' ? transfer : 'sdr';
}

function matrixOf(matrix: string | null, height: number): FrameLayout['matrix'] {
  switch (matrix) {
    case 'bt709':
      return 'bt709';
    case 'bt470bg':
    case 'smpte170m':
      return 'bt601';
    case 'bt2020-ncl':
      return 'bt2020';
    default:
      return height > 576 ? 'bt709' : 'bt601';
  }
}
