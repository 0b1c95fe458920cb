/** Loads the wasm variant that the page has chosen. */

import * as relaxed from '../wasm/relaxed-simd/framesift.js';
import * as simd128 from '../wasm/simd128/framesift.js';
import type { Assets } from '../protocol';

export type Wasm = typeof relaxed;

export interface Loaded {
  wasm: Wasm;
  memory: WebAssembly.Memory;
}

export function load({ variant, module }: Assets): Loaded {
  const wasm: Wasm = variant === 'relaxed-simd' ? relaxed : simd128;
  return { wasm, memory: wasm.initSync({ module }).memory };
}
