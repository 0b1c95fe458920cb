//! The command `framesift` as its user calls it.
#![cfg(not(target_arch = "wasm32"))]

use std::process::{Command, Output};

fn framesift(arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_framesift")).args(arguments).output().expect("framesift runs")
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).expect("output is text")
}

#[test]
fn bad_usage_ends_with_2_and_says_how_it_is_done() {
    assert_eq!(framesift(&["extrakt"]).status.code(), Some(2));
    let output = framesift(&["bench", "models/centerface.int8.onnx:640"]);
    assert_eq!(output.status.code(), Some(2));
    assert!(text(&output.stderr).contains("WIDTHxHEIGHT"), "{}", text(&output.stderr));
    let output = framesift(&["bench", "missing.onnx:64x64"]);
    assert!(text(&output.stderr).contains("cannot read missing.onnx"), "{}", text(&output.stderr));
}

#[test]
fn a_missing_fp32_file_is_named() {
    let output = framesift(&["bench", "--rounds", "1", "--fp32", "tests"]);
    assert_eq!(output.status.code(), Some(1));
    assert!(text(&output.stderr).contains("tests/centerface.fp32.onnx"), "{}", text(&output.stderr));
}

#[test]
fn doctor_says_what_there_is_and_what_to_install() {
    let output = framesift(&["doctor", "--ort-lib", "/nowhere/libonnxruntime.so"]);
    let said = text(&output.stdout);
    assert!(output.status.success(), "{said}");
    assert!(said.contains("INT8 kernels") && said.contains("scalar"), "{said}");
    assert!(said.contains("centerface.int8.onnx: every quantized node runs in INT8"), "{said}");
    assert!(said.contains("/nowhere/libonnxruntime.so"), "{said}");
    let damaged = framesift(&["doctor", "Cargo.toml"]);
    assert_eq!(damaged.status.code(), Some(1));
    assert!(text(&damaged.stderr).contains("not an ONNX file"), "{}", text(&damaged.stderr));
}

#[test]
fn bench_measures_the_built_in_pack() {
    let output = framesift(&["bench", "--rounds", "1", "--json", "--ort-lib", "/nowhere/libonnxruntime.so"]);
    assert!(output.status.success(), "{}", text(&output.stderr));
    let report: serde_json::Value = serde_json::from_slice(&output.stdout).expect("one JSON object");
    assert!(report["onnxruntime"].is_null());
    assert!(report["onnxruntime_error"].as_str().expect("a reason").contains("/nowhere/"), "{report}");
    let networks = report["networks"].as_array().expect("networks");
    assert_eq!(networks.len(), 3);
    for network in networks {
        let timing = &network["timings"][0];
        assert!(timing["ms"].as_f64().expect("a time") > 0.0);
        let share = timing["peak_share"].as_f64();
        assert!(share.is_none_or(|share| share > 0.0), "{timing}");
    }
}
