# framesift's native command on an NVIDIA GPU; without one it runs on the CPU, and says so.
#
#   docker build -f docker/cuda.Dockerfile -t framesift-cuda .
#   docker run --rm --gpus all -v "$PWD:/work" framesift-cuda extract video.mp4 --out stills --hwaccel auto

FROM ubuntu:24.04 AS build
# Whatever version the distribution has now, with its corrections.
# hadolint ignore=DL3008
RUN apt-get update \
    && apt-get install -y --no-install-recommends build-essential ca-certificates clang curl libclang-dev pkg-config rustup \
        libavcodec-dev libavformat-dev libavutil-dev libswscale-dev python3-pip unzip \
    && rm -rf /var/lib/apt/lists/* \
    && rustup toolchain install 1.92 --profile minimal \
    && rustup default 1.92
# ONNX Runtime with its CUDA provider, out of its Python package.
RUN pip download --no-deps --only-binary :all: --dest /tmp/wheel onnxruntime-gpu==1.24.4 \
    && unzip -q /tmp/wheel/onnxruntime_gpu-*.whl 'onnxruntime/capi/libonnxruntime*' -d /opt
WORKDIR /src
COPY Cargo.toml Cargo.lock ./
COPY src src
COPY models models
RUN cargo install --locked --path . --root /opt/framesift

# CUDA 12 with cuDNN 9, as this ONNX Runtime asks for.
FROM nvidia/cuda:12.9.1-cudnn-runtime-ubuntu24.04
# hadolint ignore=DL3008
RUN apt-get update \
    && apt-get install -y --no-install-recommends libavcodec-extra libavformat60 libavutil58 libswscale7 \
    && rm -rf /var/lib/apt/lists/*
COPY --from=build /opt/onnxruntime/capi /opt/onnxruntime
COPY --from=build /opt/framesift/bin/framesift /usr/local/bin/framesift
# `video` is the decoder.
ENV NVIDIA_DRIVER_CAPABILITIES=compute,utility,video \
    FRAMESIFT_ORT_LIB=/opt/onnxruntime/libonnxruntime.so.1.24.4
# Ubuntu's image has a user of this number.
USER 1000
WORKDIR /work
ENTRYPOINT ["framesift"]
CMD ["--help"]
