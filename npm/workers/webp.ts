/// <reference types="@jsquash/webp/emscripten-types" />
/** WebP files by libwebp, since there is no encoder with losses in Rust. */

import makeEncoder from '@jsquash/webp/codec/enc/webp_enc_simd.js';
import { defaultOptions } from '@jsquash/webp/meta.js';

/** Makes a file of RGBA bytes; `quality`: 1–100. */
export type EncodeWebp = (rgba: Uint8Array<ArrayBuffer>, width: number, height: number, quality: number) => Uint8Array | null;

export async function webpEncoder(module: WebAssembly.Module): Promise<EncodeWebp> {
  const encoder = await makeEncoder({
    noInitialRun: true,
    // Nothing is fetched: the module is here already.
    locateFile: (path: string) => path,
    instantiateWasm: (imports: WebAssembly.Imports, done: (instance: WebAssembly.Instance) => void) => {
      const instance = new WebAssembly.Instance(module, imports);
      done(instance);
      return instance.exports;
    },
  });
  return (rgba, width, height, quality) => encoder.encode(rgba, width, height, { ...defaultOptions, quality });
}
