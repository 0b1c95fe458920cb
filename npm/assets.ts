/** What scans need besides code: wasm modules and the face models, fetched once. */

import webpUrl from '@jsquash/webp/codec/enc/webp_enc_simd.wasm?url';
import detectorUrl from '../models/centerface.int8.onnx?url';
import embedderUrl from '../models/mobilefacenet.int8.onnx?url';
import packToml from '../models/pack.toml?raw';
import type { Assets, Variant } from './protocol';
import relaxedUrl from './wasm/relaxed-simd/framesift_bg.wasm?url';
import simd128Url from './wasm/simd128/framesift_bg.wasm?url';

/** A module whose only function is `i32x4.relaxed_dot_i8x16_i7x16_add_s` of three vectors. */
const RELAXED_SIMD_MODULE = new Uint8Array([
  0x00, 0x61, 0x73, 0x6d, 0x01, 0x00, 0x00, 0x00, // magic, version
  0x01, 0x08, 0x01, 0x60, 0x03, 0x7b, 0x7b, 0x7b, 0x01, 0x7b, // type: (v128, v128, v128) -> v128
  0x03, 0x02, 0x01, 0x00, // one function of that type
  0x0a, 0x0d, 0x01, 0x0b, 0x00, // code: one body of 11 bytes, no locals
  0x20, 0x00, 0x20, 0x01, 0x20, 0x02, // local.get 0, 1, 2
  0xfd, 0x93, 0x02, // i32x4.relaxed_dot_i8x16_i7x16_add_s
  0x0b, // end
]);

/** A wasm module with unknown instructions does not validate, so the choice is made before the download. */
export function supportedVariant(): Variant {
  return WebAssembly.validate(RELAXED_SIMD_MODULE) ? 'relaxed-simd' : 'simd128';
}

/** How `load` gets its files. */
export interface LoadOptions {
  /** Which build of the wasm module; the fastest that this browser runs unless given. */
  variant?: Variant;
  /** In the place of the global `fetch`: from a cache, say. */
  fetch?: (url: string) => Promise<Response>;
}

/**
 * Fetches the wasm modules and the face models: 22 MB, or 8 MB where the server compresses, and nothing more is fetched later. Only the build that this
 * machine runs is. Rejects where the network or the server does not give them.
 */
export async function load({ variant = supportedVariant(), fetch: get = (url) => fetch(url) }: LoadOptions = {}): Promise<Assets> {
  const wasmUrl = variant === 'relaxed-simd' ? relaxedUrl : simd128Url;
  const file = async (url: string) => {
    const response = await get(url);
    if (!response.ok) throw new Error(`${url}: HTTP ${response.status}`);
    return response;
  };
  const bytes = async (url: string) => new Uint8Array(await (await file(url)).arrayBuffer());
  const [module, webp, detector, embedder] = await Promise.all([
    file(wasmUrl).then(compiled),
    file(webpUrl).then(compiled),
    bytes(detectorUrl),
    bytes(embedderUrl),
  ]);
  return { files: [wasmUrl, webpUrl, detectorUrl, embedderUrl], variant, module, webp, packToml, detector, embedder };
}

/** Not while it downloads: what is streamed stays in memory until Chromium next collects garbage. */
async function compiled(response: Response): Promise<WebAssembly.Module> {
  const bytes = await response.arrayBuffer();
  const module = await WebAssembly.compile(bytes);
  // Gives the memory back at once, in browsers from 2024 on.
  bytes.transfer?.(0);
  return module;
}
