/**
 * One of the pool: faces and thumbnail of one candidate at a time. It has its
 * own wasm instance and talks to the job worker over a port.
 */

import type { AnalysisReply, AnalysisRequest, ToAnalysis } from '../protocol';
import { load } from './wasm';

self.onmessage = ({ data }: MessageEvent<ToAnalysis>) => {
  const { assets, port } = data;
  const { wasm, memory } = load(assets);
  // Made with the first candidate: compiling the networks costs time and memory
  // that a page which is only looked at should not pay.
  let analyzer: InstanceType<typeof wasm.Analyzer> | undefined;
  port.onmessage = ({ data: { scan, index, layout, pixels } }: MessageEvent<AnalysisRequest>) => {
    const reply = (message: AnalysisReply, transfer: Transferable[] = []) => port.postMessage(message, transfer);
    try {
      analyzer ??= new wasm.Analyzer(assets.packToml, assets.detector, assets.embedder);
      const { faces, thumbnail } = analyzer.analyze(layout, pixels) as {
        faces: unknown;
        thumbnail: Uint8Array<ArrayBuffer>;
      };
      reply({ scan, index, faces, thumbnail, wasm_memory_bytes: memory.buffer.byteLength }, [thumbnail.buffer]);
    } catch (error) {
      reply({ scan, index, error: error instanceof Error ? error.message : String(error) });
    }
  };
};
