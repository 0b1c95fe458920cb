/**
 * One of the pool: faces and thumbnail of one candidate at a time, or the files
 * of a chosen frame. It has its own wasm instance and talks to the job worker
 * over a port.
 */

import type { Analysis, PoolReply, PoolRequest, ToAnalysis } from '../protocol';
import { load } from './wasm';
import { type EncodeWebp, webpEncoder } from './webp';

self.onmessage = ({ data }: MessageEvent<ToAnalysis>) => {
  const { assets, port } = data;
  const { wasm, memory } = load(assets);
  // Made with the first candidate: compiling the networks costs time and memory
  // that a page which is only looked at should not pay.
  let analyzer: InstanceType<typeof wasm.Analyzer> | undefined;

  let webp: Promise<EncodeWebp> | undefined;

  const work = (request: PoolRequest, webp?: EncodeWebp) => {
    const { layout, pixels } = request;
    if (request.task === 'encode') {
      const result = wasm.encode_stills(layout, pixels, request.stills, webp) as Uint8Array<ArrayBuffer>[];
      return { task: 'encode', result } as const;
    }
    if (request.task === 'picture') {
      const result = wasm.small_pictures(layout, pixels, request.faces) as Uint8Array<ArrayBuffer>[];
      return { task: 'picture', result } as const;
    }
    analyzer ??= new wasm.Analyzer(assets.packToml, assets.detector, assets.embedder);
    return { task: 'analyze', result: analyzer.analyze(layout, pixels) as Analysis } as const;
  };

  port.onmessage = async ({ data: request }: MessageEvent<PoolRequest>) => {
    const { id, pixels } = request;
    const reply = (done: ReturnType<typeof work> | { error: string }, transfer: ArrayBuffer[] = []) => {
      const message: PoolReply = { id, pixels, wasm_memory_bytes: memory.buffer.byteLength, ...done };
      port.postMessage(message, [pixels.buffer, ...transfer]);
    };
    try {
      const asWebp = request.task === 'encode' && request.stills.format === 'webp';
      if (asWebp) webp ??= webpEncoder(assets.webp);
      const done = work(request, asWebp ? await webp : undefined);
      const files = done.task !== 'analyze' ? done.result : [done.result.thumbnail, ...done.result.portraits];
      reply(done, files.map((file) => file.buffer));
    } catch (error) {
      // One that ran out of memory does not work any more.
      webp = undefined;
      reply({ error: error instanceof Error ? error.message : String(error) });
      // After a trap the instance cannot be used again: the page replaces the worker.
      if (error instanceof WebAssembly.RuntimeError) setTimeout(() => { throw error; });
    }
  };
};
