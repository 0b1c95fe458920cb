/**
 * Everything the job needs, fetched once when the page loads. Afterwards the
 * page forbids itself any further connection: see `lockNetwork`.
 */

import detectorUrl from '../../models/centerface.int8.onnx?url';
import embedderUrl from '../../models/mobilefacenet.int8.onnx?url';
import packToml from '../../models/pack.toml?raw';
import relaxedUrl from '../wasm/relaxed-simd/framesift_bg.wasm?url';
import simd128Url from '../wasm/simd128/framesift_bg.wasm?url';
import { keepForOffline, load } from './offline';
import type { Assets, Variant } from './protocol';

const MOST_KEEPING_MS = 5000;

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

/** Only the variant that this machine runs is fetched. */
export async function loadAssets(variant: Variant = supportedVariant()): Promise<Assets> {
  const wasmUrl = variant === 'relaxed-simd' ? relaxedUrl : simd128Url;
  const [module, detector, embedder] = await Promise.all([
    load(wasmUrl).then((response) => WebAssembly.compileStreaming(response)),
    load(detectorUrl).then(bytes),
    load(embedderUrl).then(bytes),
  ]);
  // A network that stalls must not keep anybody waiting: the next visit tries again.
  await Promise.race([keepForOffline([wasmUrl, detectorUrl, embedderUrl]), new Promise((resolve) => setTimeout(resolve, MOST_KEEPING_MS))]);
  return { variant, module, packToml, detector, embedder };
}

async function bytes(response: Response): Promise<Uint8Array> {
  return new Uint8Array(await response.arrayBuffer());
}

/**
 * Adds a second policy on top of the page's own: from now on neither the page
 * nor any worker it starts can open a connection, not even to its own server.
 * Policies only ever tighten, so no code can take this back.
 */
export function lockNetwork(): void {
  const policy = document.createElement('meta');
  policy.httpEquiv = 'Content-Security-Policy';
  policy.content = "default-src 'none'; img-src blob: data:; manifest-src data:; script-src 'wasm-unsafe-eval' blob:; worker-src blob:";
  document.head.append(policy);
}
