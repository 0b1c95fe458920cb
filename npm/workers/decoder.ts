/** Decoded frames of a track without many of them waiting: packets are small, frames are not. */

import { type EncodedPacket, EncodedPacketSink, type InputVideoTrack, type VideoSample, VideoSampleSink } from 'mediabunny';

/** So many packets wait for the decoder at most: enough that it never waits for one. */
const MOST_PACKETS = 4;

/** After this, a decoder that takes none gets another. */
const MOST_WAIT_MS = 250;

/** What the library's sinks make for themselves, which is not in its types; so its version is pinned. */
interface Internals {
  _createDecoder(onSample: (sample: VideoSample) => void, onError: (error: unknown) => void): Promise<Decoder>;
  _createPacketSink(): EncodedPacketSink;
}
interface Decoder {
  /** The browser's. */
  decoder: VideoDecoder | null;
}

/**
 * The library's sink, but that the decoder gets its next packet when few wait for it. By itself the library hands over 40
 * whenever no frame is ready, whose frames then come whether or not anyone takes them: 3 MB each at 1080p.
 */
export function frameSink(track: InputVideoTrack): VideoSampleSink {
  const sink = new VideoSampleSink(track);
  const internals = sink as unknown as Internals;
  const createDecoder = internals._createDecoder.bind(sink);
  let decoder: VideoDecoder | null = null;
  internals._createDecoder = async (onSample, onError) => {
    const made = await createDecoder(onSample, (error) => {
      // Whoever waits for the decoder would wait for ever.
      decoder?.dispatchEvent(new Event('dequeue'));
      onError(error);
    });
    decoder = made.decoder;
    return made;
  };
  const hasRoom = async () => {
    for (let late = false; decoder?.state === 'configured' && decoder.decodeQueueSize >= MOST_PACKETS && !late; ) {
      late = await dequeued(decoder);
    }
  };
  internals._createPacketSink = () => new PacedPackets(track, hasRoom);
  return sink;
}

/** Waits until the decoder takes a packet. Some may want more before they take any: so true, after a while, if it has not. */
function dequeued(decoder: VideoDecoder): Promise<boolean> {
  return new Promise((resolve) => {
    const timer = setTimeout(resolve, MOST_WAIT_MS, true);
    decoder.addEventListener('dequeue', () => (clearTimeout(timer), resolve(false)), { once: true });
  });
}

/** Packets, each when there is room for it. */
class PacedPackets extends EncodedPacketSink {
  constructor(
    track: InputVideoTrack,
    private readonly hasRoom: () => Promise<void>,
  ) {
    super(track);
  }

  override async getNextPacket(...after: Parameters<EncodedPacketSink['getNextPacket']>): Promise<EncodedPacket | null> {
    await this.hasRoom();
    return super.getNextPacket(...after);
  }

  // Some are read ahead of it.
  override packets(...range: Parameters<EncodedPacketSink['packets']>): AsyncGenerator<EncodedPacket, void, unknown> {
    return paced(super.packets(...range), this.hasRoom);
  }
}

async function* paced(packets: AsyncGenerator<EncodedPacket, void, unknown>, hasRoom: () => Promise<void>): AsyncGenerator<EncodedPacket, void, unknown> {
  for await (const packet of packets) {
    await hasRoom();
    yield packet;
  }
}

/**
 * The frames at some presentation times, ascending, as `VideoSampleSink.samplesAtTimestamps` gives them, `null` where there is none; but
 * that those of two groups of pictures wait at most. The library by itself decodes on however slowly frames are taken,
 * where they are key frames: all of them at once in the worst case.
 */
export async function* framesAt(track: InputVideoTrack, times_s: number[]): AsyncGenerator<VideoSample | null, void, unknown> {
  const packets = new EncodedPacketSink(track);
  let taken = 0;
  let ended = false;
  let wake = () => undefined as void;
  async function* asTaken(): AsyncGenerator<number, void, unknown> {
    let key: number | undefined;
    let groupStart = 0;
    for (const [i, time_s] of times_s.entries()) {
      // Found as the library finds it: with the first time of another group it decodes the group before.
      const found = await packets.getKeyPacket(time_s, { verifyKeyPackets: true });
      if (found?.sequenceNumber !== key) {
        while (taken < groupStart && !ended) await new Promise<void>((resolve) => (wake = resolve));
        key = found?.sequenceNumber;
        groupStart = i;
      }
      if (ended) return;
      yield time_s;
    }
  }
  try {
    for await (const sample of frameSink(track).samplesAtTimestamps(asTaken())) {
      taken += 1;
      wake();
      yield sample;
    }
  } finally {
    ended = true;
    wake();
  }
}
