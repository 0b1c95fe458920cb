//! Every kernel against the definition, over random shapes and extremes.

use super::*;
use crate::inference::int8::test_random::Random;

/// The definition, term by term, over an image without border; floats are returned as their bits.
fn naive(p: &ConvParams<'_>, x: &[u8], input: &Image) -> Vec<u32> {
    let g = &p.geometry;
    let (h, w) = (input.height, input.width);
    let [oh, ow] = g.output([h, w]).unwrap();
    let (in_group, out_group) = (p.in_channels / p.groups, p.out_channels / p.groups);
    let mut y = Vec::new();
    for pixel in 0..input.batch * oh * ow {
        let (n, oy, ox) = (pixel / (oh * ow), pixel / ow % oh, pixel % ow);
        for c in 0..p.out_channels {
            let mut acc = i64::from(p.bias.get(c).copied().unwrap_or(0));
            for k in 0..in_group {
                for ky in 0..g.kernel[0] {
                    for kx in 0..g.kernel[1] {
                        let iy = (oy * g.stride[0] + ky * g.dilation[0]).wrapping_sub(g.pad_before[0]);
                        let ix = (ox * g.stride[1] + kx * g.dilation[1]).wrapping_sub(g.pad_before[1]);
                        if iy < h && ix < w {
                            let v = x[input.offset(n, iy, ix) + c / out_group * in_group + k];
                            let weight = p.weights[((c * in_group + k) * g.kernel[0] + ky) * g.kernel[1] + kx];
                            acc += (i64::from(v) - i64::from(p.x_zero)) * i64::from(weight);
                        }
                    }
                }
            }
            let quantize = |v: f32, zero: u8| (v.round_ties_even() + f32::from(zero)).clamp(0.0, 255.0);
            let v = acc as f32 * p.scale[c];
            y.push(match &p.output {
                ConvOutput::Floats => v.to_bits(),
                ConvOutput::Bytes { zero, prelu: None } => quantize(v, *zero) as u32,
                ConvOutput::Bytes { zero, prelu: Some(a) } => {
                    let f = (quantize(v, *zero) - f32::from(*zero)) * a.y_scale;
                    quantize(if f < 0.0 { f * a.slope[c] } else { f } / a.z_scale, a.z_zero) as u32
                }
            });
        }
    }
    y
}

/// Runs a packed convolution over images with borders wider than needed.
fn packed(isa: Isa, p: &ConvParams<'_>, x: &[u8], input: &Image) -> Vec<u32> {
    let conv = Conv::new(isa, p).unwrap();
    let padded = input.with_border(p.geometry.border() + 1).unwrap();
    let mut bytes = vec![0; padded.bytes() + READ_AHEAD];
    for (from, to) in input.rows().zip(padded.rows()) {
        bytes[to].copy_from_slice(&x[from]);
    }
    padded.fill_border(&mut bytes, p.x_zero);
    let [h, w] = p.geometry.output([input.height, input.width]).unwrap();
    let output = Image::new(input.batch, h, w, p.out_channels).unwrap();
    let mut scratch = Scratch::default();
    if matches!(p.output, ConvOutput::Floats) {
        let mut y = vec![f32::NAN; output.values()];
        conv.run(&bytes, &padded, Target::Floats(&mut y), &mut scratch).unwrap();
        return y.into_iter().map(f32::to_bits).collect();
    }
    let output = output.with_border(1).unwrap();
    let mut y = vec![77; output.bytes()];
    conv.run(&bytes, &padded, Target::Bytes(&mut y, &output), &mut scratch).unwrap();
    output.rows().flat_map(|row| y[row].iter().map(|&b| u32::from(b))).collect()
}

/// Random shapes and values, every kernel against the definition.
fn all_kernels_equal_the_definition(rounds: usize) {
    let mut random = Random::new(1);
    for round in 0..rounds {
        let (groups, in_group, out_group) = match random.below(4) {
            0 => (1 + random.below(37), 1, 1),
            1 => (1 + random.below(3), 1 + random.below(7), 1 + random.below(9)),
            _ => (1, 1 + random.below(40), 1 + random.below(20)),
        };
        let mut pair = |low: usize, n: usize| [low + random.below(n), low + random.below(n)];
        let geometry = Geometry {
            kernel: pair(1, 4),
            stride: pair(1, 3),
            dilation: pair(1, 2),
            pad_before: pair(0, 3),
            pad_after: pair(0, 3),
        };
        let [height, width] = pair(8, 6);
        let (in_channels, out_channels) = (groups * in_group, groups * out_group);
        let input = Image::new(1 + random.below(3), height, width, in_channels).unwrap();
        let taps = geometry.kernel[0] * geometry.kernel[1];
        let weights: Vec<i8> = (0..out_channels * in_group * taps).map(|_| random.byte() as i8).collect();
        let bias: Vec<i32> = (0..out_channels).map(|_| random.below(20001) as i32 - 10000).collect();
        // Now and then scales with which the fast rounding would overflow.
        let large = if random.below(8) == 0 { 1e4 } else { 1.0 };
        let unit = large / (200.0 * (in_group * taps) as f32).sqrt() / 40.0;
        let scale: Vec<f32> = (0..out_channels).map(|_| unit * (1.0 + random.below(100) as f32 / 50.0)).collect();
        let slope: Vec<f32> = (0..out_channels).map(|_| random.below(100) as f32 / 80.0 - 0.2).collect();
        let x: Vec<u8> = (0..input.bytes()).map(|_| random.byte()).collect();
        let prelu = Prelu { slope: &slope, y_scale: 0.05, z_scale: 0.03, z_zero: random.byte() };
        let params = ConvParams {
            geometry,
            groups,
            in_channels,
            out_channels,
            weights: &weights,
            bias: if random.below(4) == 0 { &[] } else { &bias },
            scale: &scale,
            x_zero: random.byte(),
            output: match random.below(5) {
                0 => ConvOutput::Floats,
                1 | 2 => ConvOutput::Bytes { zero: random.byte(), prelu: Some(prelu) },
                _ => ConvOutput::Bytes { zero: random.byte(), prelu: None },
            },
        };
        let expected = naive(&params, &x, &input);
        for &isa in Isa::available() {
            let y = packed(isa, &params, &x, &input);
            assert!(y == expected, "{} differs in round {round}: {:?}", isa.name(), params.geometry);
        }
    }
}

#[cfg_attr(target_arch = "wasm32", wasm_bindgen_test::wasm_bindgen_test)]
#[cfg_attr(not(target_arch = "wasm32"), test)]
fn kernels_equal_the_definition() {
    all_kernels_equal_the_definition(400);
}

#[cfg_attr(target_arch = "wasm32", wasm_bindgen_test::wasm_bindgen_test)]
#[cfg_attr(not(target_arch = "wasm32"), test)]
fn winograd_equals_the_definition() {
    let mut random = Random::new(3);
    for round in 0..60 {
        let (in_channels, out_channels) = (16 + 2 * random.below(40), 16 + random.below(30));
        let mut pair = |low: usize, n: usize| [low + random.below(n), low + random.below(n)];
        // Pictures down to one pixel, which borders make large enough.
        let (low, pads) = if round % 4 == 1 { (1, 1) } else { (3, 0) };
        let geometry = Geometry {
            kernel: [3, 3],
            pad_before: pair(pads, 3 - pads),
            pad_after: pair(pads, 3 - pads),
            ..Geometry::POINT
        };
        let [height, width] = pair(low, if round % 8 == 0 { 60 } else { 14 });
        let input = Image::new(1 + random.below(3), height, width, in_channels).unwrap();
        // Every third with nothing but the largest values, of either sign.
        let extreme = round % 3 == 0;
        let weights: Vec<i8> = (0..out_channels * in_channels * 9)
            .map(|_| random.byte() as i8)
            .map(|w| if extreme { [-128, 127][usize::from(w > 0)] } else { w })
            .collect();
        let x: Vec<u8> = (0..input.bytes())
            .map(|_| random.byte())
            .map(|x| if extreme { [0, 255][usize::from(x > 127)] } else { x })
            .collect();
        let bias: Vec<i32> = (0..out_channels).map(|_| random.below(20001) as i32 - 10000).collect();
        // Now and then scales with which the fast rounding would overflow.
        let large = if round % 7 == 6 { 1e4 } else { 1.0 };
        let unit = large / (200.0 * (in_channels * 9) as f32).sqrt() / 40.0;
        let scale: Vec<f32> = (0..out_channels).map(|c| unit * (1.0 + c as f32 / 50.0)).collect();
        let slope: Vec<f32> = (0..out_channels).map(|c| c as f32 / 80.0 - 0.2).collect();
        let prelu = Prelu { slope: &slope, y_scale: 0.05, z_scale: 0.03, z_zero: random.byte() };
        let params = ConvParams {
            geometry,
            groups: 1,
            in_channels,
            out_channels,
            weights: &weights,
            bias: &bias,
            scale: &scale,
            x_zero: random.byte(),
            output: ConvOutput::Bytes { zero: random.byte(), prelu: (round % 2 == 0).then_some(prelu) },
        };
        assert!(suits_winograd(&params));
        let expected = naive(&params, &x, &input);
        for &isa in Isa::available() {
            let y = packed(isa, &params, &x, &input);
            assert!(y == expected, "{} differs in round {round}: {input:?} {:?}", isa.name(), params.geometry);
        }
    }
}

#[cfg_attr(target_arch = "wasm32", wasm_bindgen_test::wasm_bindgen_test)]
#[cfg_attr(not(target_arch = "wasm32"), test)]
fn extremes_do_not_saturate() {
    // 255 · ±127 over a deep sum: what 16-bit intermediate sums would clip.
    let depth = 512;
    for weight in [127i8, -127, -128] {
        let weights = vec![weight; depth * 3 * 3 * 8];
        let params = ConvParams {
            geometry: Geometry { kernel: [3, 3], pad_before: [1, 1], pad_after: [1, 1], ..Geometry::POINT },
            groups: 1,
            in_channels: depth,
            out_channels: 8,
            weights: &weights,
            bias: &[],
            scale: &[1.0 / (255.0 * 128.0 * 9.0 * depth as f32) * 120.0; 8],
            x_zero: 0,
            output: ConvOutput::Bytes { zero: 128, prelu: None },
        };
        let input = Image::new(1, 5, 5, depth).unwrap();
        let x = vec![255; input.bytes()];
        let expected = naive(&params, &x, &input);
        for &isa in Isa::available() {
            assert_eq!(packed(isa, &params, &x, &input), expected, "{}", isa.name());
        }
    }
}

#[cfg_attr(target_arch = "wasm32", wasm_bindgen_test::wasm_bindgen_test)]
#[cfg_attr(not(target_arch = "wasm32"), test)]
fn winograd_is_taken_up_to_the_largest_sums() {
    for weight in [127i8, -128] {
        // 255 · 128 · 9 · 114 is just below 2²⁵.
        for (channels, taken) in
            [(114, true), (116, weight == 127 && 255 * 127 * 9 * 116 < winograd::LARGEST), (512, false)]
        {
            let weights = vec![weight; channels * 9 * 16];
            let params = ConvParams {
                geometry: Geometry { kernel: [3, 3], pad_before: [1, 1], pad_after: [1, 1], ..Geometry::POINT },
                groups: 1,
                in_channels: channels,
                out_channels: 16,
                weights: &weights,
                bias: &[],
                scale: &[100.0 / (255.0 * 128.0 * 9.0 * channels as f32); 16],
                x_zero: 0,
                output: ConvOutput::Bytes { zero: 128, prelu: None },
            };
            assert_eq!(suits_winograd(&params), taken, "{channels} channels of {weight}");
            let input = Image::new(1, 5, 5, channels).unwrap();
            let x = vec![255; input.bytes()];
            let expected = naive(&params, &x, &input);
            for &isa in Isa::available() {
                assert_eq!(packed(isa, &params, &x, &input), expected, "{}, {channels} channels", isa.name());
            }
        }
    }
}

#[test]
fn a_prelu_that_two_factors_cannot_express_is_exact() {
    let mut random = Random::new(5);
    let input = Image::new(1, 20, 20, 4).unwrap();
    let x: Vec<u8> = (0..input.bytes()).map(|_| random.byte()).collect();
    let weights: Vec<i8> = (0..16 * 4).map(|_| random.byte() as i8).collect();
    let mut found = 0;
    for _ in 0..400 {
        let slope: Vec<f32> = (0..16).map(|_| random.below(1000) as f32 / 1000.0).collect();
        let params = ConvParams {
            geometry: Geometry::POINT,
            groups: 1,
            in_channels: 4,
            out_channels: 16,
            weights: &weights,
            bias: &[],
            scale: &[0.003; 16],
            x_zero: 100,
            output: ConvOutput::Bytes {
                zero: 128,
                prelu: Some(Prelu { slope: &slope, y_scale: 0.02, z_scale: 0.01, z_zero: 90 }),
            },
        };
        let conv = Conv::new(Isa::best(), &params).unwrap();
        if conv.prelu.is_some() && matches!(conv.finish, Finish::Bytes(_)) {
            found += 1;
            assert_eq!(packed(Isa::best(), &params, &x, &input), naive(&params, &x, &input));
        }
    }
    assert!(found > 0, "no such PReLU among those tried");
}

#[test]
fn sizes_that_do_not_fit_are_errors() {
    let geometry = Geometry { kernel: [3, 3], ..Geometry::POINT };
    assert!(geometry.output([2, 9]).is_err());
    let params = ConvParams {
        geometry,
        groups: 2,
        in_channels: 3,
        out_channels: 2,
        weights: &[0; 27],
        bias: &[],
        scale: &[1.0; 2],
        x_zero: 0,
        output: ConvOutput::Floats,
    };
    assert!(Conv::new(Isa::SCALAR, &params).is_err());
}
