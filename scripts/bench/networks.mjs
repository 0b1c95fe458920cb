// What is measured, and what is asked of it.

/** The pack's networks at the shapes that the product runs them at; their sources are in models/. */
const PACK = [
  pack('centerface', 640, 640),
  pack('centerface', 640, 384),
  pack('centerface', 160, 160),
  { ...pack('mobilefacenet', 112, 112), name: 'mobilefacenet' },
];

/** Random-weight stand-ins of InsightFace's networks (synthetic.py). */
const SYNTHETIC = [synthetic('mbf', 112), synthetic('r50', 112), synthetic('det500m', 640), synthetic('det10g', 640)];

export const NETWORKS = [...PACK, ...SYNTHETIC];

/** `inputs`: beginning of the names of inputs.py's files. */
function pack(file, width, height) {
  return {
    name: `${file}-${width}x${height}`,
    shape: [1, 3, height, width],
    int8: `/pack/${file}.int8.onnx`,
    fp32: `/models/${file}.fp32.onnx`,
    inputs: `/inputs/${file}_${width}x${height}`,
    min_cosine: 0.9999,
  };
}

function synthetic(name, side) {
  return {
    name,
    shape: [1, 3, side, side],
    int8: `/models/${name}.int8.onnx`,
    fp32: `/models/${name}.fp32.onnx`,
    inputs: `/inputs/smooth_${side}x${side}`,
    min_cosine: 0.999,
    synthetic: true,
  };
}

/** How many times as fast as ONNX Runtime Web in INT8 (`int8`) and FP32 (`fp32`) our INT8 builds must be. */
export const BARS = {
  relaxed: { int8_each: 2.5, fp32_mean: 3, fp32_each: 2.2 },
  simd128: { int8_each: 1.3, fp32_mean: 1.7 },
};

/** At most so much of what the model in FP32 takes under tract in all, and of its file for weights. */
export const MEMORY_BARS = { memory: 1 / 3, weights: 0.27 };
