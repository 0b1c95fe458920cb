/**
 * Frames of a track, all of them in presentation order, also past errors, or
 * some of them; and their pixels in the decoder's own format.
 */

import { EncodedPacketSink, type InputVideoTrack, type VideoSample, VideoSampleSink } from 'mediabunny';
import { isPresented } from './video';

/**
 * All presented frames. A decoder gives up at the first damaged packet; then
 * decoding starts again at the next key frame, and `onError` is told.
 */
export async function* decodedFrames(
  track: InputVideoTrack,
  onError: (message: string, time_s: number) => void,
): AsyncGenerator<VideoSample, void, undefined> {
  const packets = new EncodedPacketSink(track);
  let resume_s: number | undefined;
  let last_s = -Infinity;
  for (;;) {
    try {
      for await (const sample of new VideoSampleSink(track).samples(resume_s)) {
        // After a restart the decoder may repeat what came before the error.
        if (!isPresented(sample) || sample.timestamp <= last_s) {
          sample.close();
          continue;
        }
        last_s = sample.timestamp;
        yield sample;
      }
      return;
    } catch (error) {
      const failed_s = Math.max(last_s, resume_s ?? 0);
      onError(error instanceof Error ? error.message : String(error), failed_s);
      const key = await nextKey(packets, failed_s);
      if (key === undefined) return;
      resume_s = key;
    }
  }
}

/** Presentation times are equal when they differ by less than this. */
const SAME_TIME_S = 0.0005;

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
      for await (const sample of new VideoSampleSink(track).samplesAtTimestamps(times_s.slice(next))) {
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
