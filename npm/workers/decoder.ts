/** Decoded frames of a track without many of them waiting: packets are small, frames are not. */

import { type EncodedPacket, EncodedPacketSink, type InputVideoTrack, type VideoSample, VideoSampleSink } from 'mediabunny';

/** So many packets wait for the decoder at most: enough that it never waits for one. */
const MOST_PACKETS = 4;

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
    while (decoder?.state === 'configured' && decoder.decodeQueueSize > MOST_PACKETS) {
      const waiting = decoder;
      await new Promise((resolve) => waiting.addEventListener('dequeue', resolve, { once: true }));
    }
  };
  internals._createPacketSink = () => new PacedPackets(track, hasRoom);
  return sink;
}

/** Packets, each when there is room for it. */
class PacedPackets extends EncodedPacketSink {
  constructor(
    track: InputVideoTrack,
    private readonly hasRoom: () => Promise<void>,
  ) {
    super(track);
  }

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
