# The runner as a container, used beside a docker daemon whose socket is mounted
# (deploy/sidecar/compose.yaml): docker build -t runner .
ARG BASE=debian:bookworm-slim

FROM ${BASE} AS build
# With the compiler for the other architecture, whose machines it is to bring the helper to.
RUN apt-get update && DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends \
        ca-certificates cmake gcc libarchive-dev libc6-dev libcurl4-openssl-dev libexpat1-dev \
        libjansson-dev liblz4-dev libpcre2-dev libpq-dev libsqlite3-dev libssh2-1-dev libssl-dev \
        libwebsockets-dev libyaml-dev nettle-dev ninja-build pkg-config \
        $(if [ "$(uname -m)" = aarch64 ]; then \
            echo gcc-x86-64-linux-gnu linux-libc-dev-amd64-cross; else \
            echo gcc-aarch64-linux-gnu linux-libc-dev-arm64-cross; fi) && \
    rm -rf /var/lib/apt/lists/*
COPY . /src
RUN cmake -S /src -B /build -G Ninja -DCMAKE_BUILD_TYPE=Release -DRUNNER_TESTS=OFF && \
    cmake --build /build && strip /build/runner

FROM ${BASE}
RUN apt-get update && DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends \
        ca-certificates libarchive13 libcurl4 libjansson4 libssh2-1 libwebsockets17 libyaml-0-2 && \
    rm -rf /var/lib/apt/lists/* /var/cache/apt/*
COPY --from=build /build/runner /usr/local/bin/runner
# Root, because the mounted socket belongs to root or to a group of the host.
WORKDIR /workspace
ENTRYPOINT ["runner"]
CMD ["help"]
