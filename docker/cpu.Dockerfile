# framesift's native command, on the CPU.
#
#   docker build -f docker/cpu.Dockerfile -t framesift .
#   docker run --rm -v "$PWD:/work" framesift extract video.mp4 --out stills

FROM rust:1.92-slim-bookworm AS build
# Whatever version the distribution has now, with its corrections.
# hadolint ignore=DL3008
RUN apt-get update \
    && apt-get install -y --no-install-recommends clang libclang-dev pkg-config \
        libavcodec-dev libavformat-dev libavutil-dev libswscale-dev \
    && rm -rf /var/lib/apt/lists/*
WORKDIR /src
COPY Cargo.toml Cargo.lock ./
COPY src src
COPY models models
RUN cargo install --locked --path . --root /opt/framesift

FROM debian:bookworm-slim
# hadolint ignore=DL3008
RUN apt-get update \
    && apt-get install -y --no-install-recommends libavcodec-extra libavformat59 libavutil57 libswscale6 \
    && rm -rf /var/lib/apt/lists/* \
    && useradd --uid 1000 --create-home framesift
COPY --from=build /opt/framesift/bin/framesift /usr/local/bin/framesift
USER 1000
WORKDIR /work
ENTRYPOINT ["framesift"]
CMD ["--help"]
