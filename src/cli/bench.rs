//! `framesift bench`.

use super::progress::tell_user;
use super::{OnnxRuntimeOptions, Outcome};
use clap::Args;
use framesift::faces::align;
use framesift::faces::pack::Pack;
use framesift::inference::int8::kernels::Isa;
use framesift::inference::onnxruntime::{OnnxRuntime, OnnxRuntimeNetwork, Provider};
use framesift::inference::{Model, Network};
use ndarray::{ArrayD, IxDyn};
use serde::Serialize;
use std::path::{Path, PathBuf};
use std::time::Instant;

#[derive(Args)]
pub struct Options {
    /// INT8 ONNX files with the size of their input: FILE:WIDTHxHEIGHT. Without any, the built-in pack.
    #[arg(value_name = "FILE:WxH", value_parser = parse_target)]
    networks: Vec<Target>,
    /// Folder of the same networks in FP32, named NAME.fp32.onnx for NAME.int8.onnx. Without it: beside the INT8 file.
    #[arg(long, value_name = "DIR")]
    fp32: Option<PathBuf>,
    /// Measure every INT8 kernel that this machine has, not only the best.
    #[arg(long)]
    all_kernels: bool,
    /// Rounds per network; in each, every engine has a turn.
    #[arg(long, default_value_t = 15, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    rounds: u32,
    /// Print one JSON object instead of tables.
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    onnxruntime: OnnxRuntimeOptions,
}

/// A network to measure.
#[derive(Clone)]
struct Target {
    /// `NAME` of `NAME.int8.onnx`.
    name: String,
    /// Where the file is, if it is not built in.
    folder: Option<PathBuf>,
    file: Vec<u8>,
    width: usize,
    height: usize,
}

fn parse_target(text: &str) -> Result<Target, String> {
    let (path, size) =
        text.rsplit_once(':').ok_or("no size: write FILE:WIDTHxHEIGHT, for example a.int8.onnx:640x640")?;
    let side = |text: &str| text.parse().ok().filter(|&side: &usize| side > 0);
    let sides = size.split_once('x').and_then(|(w, h)| Some((side(w)?, side(h)?)));
    let (width, height) =
        sides.ok_or_else(|| format!("{size:?} is no size: write WIDTHxHEIGHT, for example 640x640"))?;
    let file = std::fs::read(path).map_err(|e| format!("cannot read {path}: {e}"))?;
    let path = Path::new(path);
    Ok(Target { name: stem(path), folder: path.parent().map(Path::to_path_buf), file, width, height })
}

/// `NAME` of `NAME.int8.onnx`.
fn stem(path: &Path) -> String {
    let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
    name.strip_suffix(".onnx").map_or(name, |name| name.strip_suffix(".int8").unwrap_or(name)).into()
}

impl Target {
    /// The pack's networks at the sizes that the product runs them at.
    fn of_pack() -> framesift::Result<Vec<Self>> {
        let pack = Pack::built_in()?;
        let (long, refine) = (pack.spec.detector.long_side_px, pack.spec.detector.refine_px);
        let target = |file: &Vec<u8>, name: &str, width, height| Target {
            name: stem(Path::new(name)),
            folder: None,
            file: file.clone(),
            width,
            height,
        };
        let detector = |width, height| target(&pack.detector, &pack.spec.detector.file, width, height);
        let side = align::CHIP_SIZE as usize;
        Ok(vec![
            detector(long, long),
            detector(refine, refine),
            target(&pack.embedder, &pack.spec.embedder.file, side, side),
        ])
    }

    /// The FP32 file of the same network: from `folder`, where it must be, or else from beside
    /// the INT8 file, if it is there.
    fn fp32(&self, folder: Option<&Path>) -> framesift::Result<Option<Vec<u8>>> {
        let file = format!("{}.fp32.onnx", self.name);
        match (folder, &self.folder) {
            (Some(folder), _) => {
                let path = folder.join(file);
                let cannot_read = |e| framesift::Error::Usage(format!("--fp32: cannot read {}: {e}", path.display()));
                std::fs::read(&path).map(Some).map_err(cannot_read)
            }
            (None, Some(beside)) => Ok(std::fs::read(beside.join(file)).ok()),
            (None, None) => Ok(None),
        }
    }

    /// Name and size.
    fn title(&self) -> String {
        format!("{} {}x{}", self.name, self.width, self.height)
    }

    fn input(&self) -> ArrayD<f32> {
        // Some picture: what it shows does not matter for the time.
        let value = |i: ndarray::IxDyn| ((i[1] * 31 + i[2] * 7 + i[3] * 3) % 256) as f32 / 128.0 - 1.0;
        ArrayD::from_shape_fn(IxDyn(&[1, 3, self.height, self.width]), value)
    }
}

/// An engine with a network loaded.
enum Engine {
    Ours(Network),
    OnnxRuntime(OnnxRuntimeNetwork),
}

impl Engine {
    fn run(&mut self, input: &ArrayD<f32>) -> framesift::Result<Vec<ArrayD<f32>>> {
        match self {
            Engine::Ours(network) => network.run(input.view()),
            Engine::OnnxRuntime(network) => network.run(input.view()),
        }
    }
}

/// What was measured of one engine with one network.
#[derive(Serialize)]
struct Timing {
    engine: String,
    /// Median of the rounds.
    ms: Option<f64>,
    /// Why there is no time.
    error: Option<String>,
    /// INT8 multiplications per nanosecond, and the same as a share of the kernel's dot
    /// instruction on registers alone. Of our kernels only.
    gmac_per_s: Option<f64>,
    peak_share: Option<f64>,
    /// To ONNX Runtime on the same INT8 file, of our kernels only: the smallest of all outputs.
    cosine_to_onnxruntime: Option<f64>,
}

#[derive(Serialize)]
struct Row {
    name: String,
    int8_gmac: f64,
    timings: Vec<Timing>,
    /// How many times as fast as FP32 under tract our best kernel is.
    times_tract_fp32: Option<f64>,
    /// … and as ONNX Runtime with the same INT8 file.
    times_onnxruntime_int8: Option<f64>,
}

#[derive(Serialize)]
struct Report {
    kernel: &'static str,
    /// Multiplications per nanosecond of each kernel's dot instruction on registers alone.
    peaks_gmac_per_s: Vec<(&'static str, f64)>,
    /// Its library.
    onnxruntime: Option<String>,
    /// Why there is none.
    onnxruntime_error: Option<String>,
    networks: Vec<Row>,
}

const TRACT_FP32: &str = "tract FP32";
const ORT_INT8: &str = "ONNX Runtime INT8";
const ORT_FP32: &str = "ONNX Runtime FP32";

pub fn run(options: &Options) -> Outcome {
    let pack;
    let targets = match options.networks.as_slice() {
        [] => {
            pack = Target::of_pack()?;
            &pack
        }
        given => given,
    };
    // The reference only where there is nothing else: it would take minutes.
    let mut kernels = if options.all_kernels { Isa::available().to_vec() } else { vec![Isa::best()] };
    if kernels.len() > 1 {
        kernels.retain(|&isa| isa != Isa::SCALAR);
    }
    let runtime = OnnxRuntime::load(options.onnxruntime.library.as_deref());
    let peaks: Vec<(Isa, f64)> = kernels.iter().map(|&isa| (isa, isa.measure_peak())).collect();
    let mut networks = Vec::new();
    for target in targets {
        tell_user(&format!("Measuring {} …", target.title()));
        networks.push(measure(target, options, &peaks, runtime.as_ref().ok())?);
    }
    let report = Report {
        kernel: Isa::best().name(),
        peaks_gmac_per_s: peaks.iter().map(|&(isa, peak)| (isa.name(), peak)).collect(),
        onnxruntime: runtime.as_ref().ok().map(|r| r.library().display().to_string()),
        onnxruntime_error: runtime.as_ref().err().map(ToString::to_string),
        networks,
    };
    if options.json {
        println!("{}", serde_json::to_string(&report)?);
    } else {
        print!("{}", report.table());
    }
    Ok(())
}

/// All engines with one network, taking turns.
fn measure(
    target: &Target,
    options: &Options,
    peaks: &[(Isa, f64)],
    runtime: Option<&OnnxRuntime>,
) -> framesift::Result<Row> {
    let input = target.input();
    let mut int8_macs = 0;
    let mut engines: Vec<(String, framesift::Result<Engine>)> = Vec::new();
    for (isa, _) in peaks {
        let network = Model::for_isa(*isa, &target.file)?.network(input.shape())?;
        int8_macs = network.int8_macs();
        engines.push((isa.name().into(), Ok(Engine::Ours(network))));
    }
    let fp32 = target.fp32(options.fp32.as_deref())?;
    if let Some(file) = &fp32 {
        let network = Model::from_onnx(file).and_then(|model| model.network(input.shape()));
        engines.push((TRACT_FP32.into(), network.map(Engine::Ours)));
    }
    if let Some(runtime) = runtime {
        let of = |file: &[u8]| runtime.network(file, Provider::Cpu(1)).map(Engine::OnnxRuntime);
        engines.push((ORT_INT8.into(), of(&target.file)));
        engines.extend(fp32.iter().map(|file| (ORT_FP32.into(), of(file))));
    }

    // Once for the results and to warm up, then in turns. An engine that cannot run this network
    // does not stop the others.
    let mut results: Vec<Option<Vec<ArrayD<f32>>>> = Vec::new();
    for (_, engine) in &mut engines {
        let outputs = engine.as_mut().ok().map(|engine| engine.run(&input)).transpose();
        results.push(outputs.unwrap_or_else(|error| {
            *engine = Err(error);
            None
        }));
    }
    let mut times_ms: Vec<Vec<f64>> = vec![Vec::new(); engines.len()];
    for _ in 0..options.rounds {
        for ((_, engine), times_ms) in engines.iter_mut().zip(&mut times_ms) {
            if let Ok(engine) = engine {
                let start = Instant::now();
                engine.run(&input)?;
                times_ms.push(start.elapsed().as_secs_f64() * 1e3);
            }
        }
    }

    let index = |name: &str| engines.iter().position(|(engine, _)| engine == name);
    let reference = index(ORT_INT8).and_then(|i| results[i].as_ref());
    let median = |i: usize| {
        let mut sorted = times_ms[i].clone();
        sorted.sort_by(f64::total_cmp);
        sorted.get(sorted.len() / 2).copied()
    };
    let timings = (0..engines.len())
        .map(|i| {
            let ms = median(i);
            let peak = peaks.get(i).map(|&(_, peak)| peak);
            let gmac_per_s = peak.and(ms).map(|ms| int8_macs as f64 / ms / 1e6);
            let own = peak.and(results[i].as_ref());
            Timing {
                engine: engines[i].0.clone(),
                ms,
                error: engines[i].1.as_ref().err().map(ToString::to_string),
                gmac_per_s,
                peak_share: gmac_per_s.zip(peak).filter(|&(_, peak)| peak > 0.0).map(|(rate, peak)| rate / peak),
                cosine_to_onnxruntime: own.zip(reference).map(|(ours, theirs)| least_cosine(ours, theirs)),
            }
        })
        .collect();
    let best = peaks.len().checked_sub(1).and_then(median);
    let times = |name| best.zip(index(name).and_then(median)).map(|(ours, theirs)| theirs / ours);
    Ok(Row {
        name: target.title(),
        int8_gmac: int8_macs as f64 / 1e9,
        timings,
        times_tract_fp32: times(TRACT_FP32),
        times_onnxruntime_int8: times(ORT_INT8),
    })
}

fn least_cosine(ours: &[ArrayD<f32>], theirs: &[ArrayD<f32>]) -> f64 {
    let cosine = |a: &ArrayD<f32>, b: &ArrayD<f32>| {
        let (mut aa, mut bb, mut ab) = (0.0, 0.0, 0.0);
        for (&a, &b) in a.iter().zip(b) {
            let (a, b) = (f64::from(a), f64::from(b));
            (aa, bb, ab) = (aa + a * a, bb + b * b, ab + a * b);
        }
        if aa == 0.0 && bb == 0.0 { 1.0 } else { ab / (aa * bb).sqrt() }
    };
    ours.iter().zip(theirs).map(|(a, b)| cosine(a, b)).fold(1.0, f64::min)
}

impl Report {
    fn table(&self) -> String {
        let number = |value: Option<f64>, digits: usize| value.map_or("-".into(), |v| format!("{v:.digits$}"));
        let mut text = String::from(
            "Medians, one thread each. share: of what the kernel's dot instruction reaches on registers alone.\n",
        );
        for row in &self.networks {
            text += &format!("\n{}, {:.2} GMAC in INT8\n", row.name, row.int8_gmac);
            for t in &row.timings {
                text += &format!("  {:<20}{:>9} ms", t.engine, number(t.ms, 2));
                if let Some(rate) = t.gmac_per_s {
                    text += &format!("  {rate:>6.1} GMAC/s");
                    text += &t.peak_share.map_or(String::new(), |share| format!(", {:>4.0} % share", share * 100.0));
                }
                if let Some(cosine) = t.cosine_to_onnxruntime {
                    text += &format!(", cosine {cosine:.6}");
                }
                text += &t.error.as_ref().map_or("\n".into(), |error| format!("  {error}\n"));
            }
            if let Some(times) = row.times_tract_fp32 {
                text += &format!("  {times:.2} times as fast as FP32 under tract (asked: 2)\n");
            }
            if let Some(times) = row.times_onnxruntime_int8 {
                text += &format!("  {times:.2} times as fast as ONNX Runtime's INT8 (asked: 0.77)\n");
            }
        }
        text += "\nDot instruction on registers alone, GMAC/s:";
        for (name, peak) in &self.peaks_gmac_per_s {
            text += &format!(" {name} {peak:.1};");
        }
        text += "\n";
        text += &self.onnxruntime.as_ref().map_or(String::new(), |library| format!("ONNX Runtime: {library}\n"));
        text += &self.onnxruntime_error.as_ref().map_or(String::new(), |error| format!("{error}\n"));
        text
    }
}
