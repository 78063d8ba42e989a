# syntax=docker/dockerfile:1

FROM docker.io/library/rust:1.95-slim-bookworm AS build
ARG REVISION=unknown
# As deploy/release/build.sh has it: the places of sources and caches get the same names in every binary.
ENV RUSTFLAGS="--remap-path-prefix=/build=/lockkeeper --remap-path-prefix=/build/target=/target --remap-path-prefix=/usr/local/cargo=/cargo" \
    CFLAGS="-ffile-prefix-map=/build/target=/target -ffile-prefix-map=/usr/local/cargo=/cargo" \
    CARGO_INCREMENTAL=0
WORKDIR /build
COPY . .
# The caches hold the dependencies, so that only Lockkeeper itself is compiled again. Cargo goes by the age of files, and a
# clone can be older than what the cache was built from: `touch` makes sure that this source is the one that is built.
RUN --mount=type=cache,target=/usr/local/cargo/registry,sharing=locked \
    --mount=type=cache,target=/build/target,sharing=locked \
    touch src/lib.rs src/main.rs \
    && LOCKKEEPER_REVISION="$REVISION" cargo build --release --locked \
    && cp target/release/lockkeeper /lockkeeper \
    && deploy/release/materials.sh /materials "$(rustc --print host-tuple)"

# What Lockkeeper is made of, for scanners: they know Debian's packages in an image, and nothing of what a binary was linked from.
FROM docker.io/library/python:3.13-slim-bookworm AS materials
ARG SOURCE_DATE_EPOCH=0
COPY deploy/release/sbom.py /
COPY --from=build /materials /materials
RUN python3 /sbom.py /materials > /lockkeeper.cdx.json

# glibc, CA certificates, time zones and nothing else: no shell, no package manager. The same Debian as the build's, so the
# same glibc.
FROM gcr.io/distroless/cc-debian12:nonroot
ARG VERSION=unknown
ARG REVISION=unknown
LABEL org.opencontainers.image.title="Lockkeeper" \
      org.opencontainers.image.description="Drives deployments to Amazon ECS from events on a queue" \
      org.opencontainers.image.licenses="MIT OR Apache-2.0" \
      org.opencontainers.image.version="${VERSION}" \
      org.opencontainers.image.revision="${REVISION}"
COPY --from=materials /lockkeeper.cdx.json /usr/share/sbom/lockkeeper.cdx.json
COPY --from=build /lockkeeper /lockkeeper
# Settings of an image made FROM this one: /config/NAME.toml, with LOCKKEEPER_ENV=NAME.
WORKDIR /
# By number, so that a runtime can see that it is not root.
USER 65532:65532
EXPOSE 8080
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=15s --timeout=5s --start-period=60s --retries=3 CMD ["/lockkeeper", "health"]
ENTRYPOINT ["/lockkeeper"]
CMD ["run"]
