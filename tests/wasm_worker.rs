//! The crate in headless Chromium, in a dedicated worker as in the page.
#![cfg(target_arch = "wasm32")]

mod parity;

use wasm_bindgen_test::{wasm_bindgen_test, wasm_bindgen_test_configure};

wasm_bindgen_test_configure!(run_in_dedicated_worker);

#[wasm_bindgen_test]
fn embeddings_agree_with_onnxruntime() {
    parity::embeddings_agree();
}

#[wasm_bindgen_test]
fn detections_agree_with_onnxruntime() {
    parity::detections_agree();
}
