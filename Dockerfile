# syntax=docker/dockerfile:1
# One small image with every job of drover: no shell, no package manager, nothing that is fetched at run time.
#
#   docker buildx build --platform linux/amd64,linux/arm64 --tag drover:0.2.0 .
#
# Each platform builds for itself, by emulation where the machine is another one. Where images come from elsewhere, RUST_IMAGE
# names another one with this version of Rust, on Debian.
ARG RUST_VERSION=1.95.0
ARG RUST_IMAGE=rust:${RUST_VERSION}-slim-bookworm

FROM ${RUST_IMAGE} AS build
ARG TARGETARCH
WORKDIR /build
COPY . .
# The caches are mounts and no layers, so what goes on is copied out of them in the same step. Of each program everything that
# the loader asks for is copied too, under its own path.
RUN --mount=type=cache,id=drover-registry,target=/usr/local/cargo/registry,sharing=locked \
    --mount=type=cache,id=drover-target-${TARGETARCH},target=/build/target,sharing=locked \
    set -eux; \
    cargo build --release --locked --package snapshot --package upload --package retention-prune --package restore --package heartbeat --package dispatch; \
    mkdir -p /image/etc/ssl/certs; \
    for job in snapshot upload retention-prune restore heartbeat dispatch; do \
        cp "target/release/$job" /image/; \
        ldd "target/release/$job" | grep -o '/[^ ]*' | xargs cp --parents --dereference --target-directory=/image; \
    done; \
    cp /etc/ssl/certs/ca-certificates.crt /image/etc/ssl/certs/; \
    echo 'drover:x:65532:65532:drover:/:/sbin/nologin' > /image/etc/passwd; \
    echo 'drover:x:65532:' > /image/etc/group

FROM scratch
ARG VERSION=0.2.0
ARG REVISION
LABEL org.opencontainers.image.title="drover" \
      org.opencontainers.image.description="Backs up the objects that make a Kubernetes cluster what it is, and restores them" \
      org.opencontainers.image.licenses="Apache-2.0" \
      org.opencontainers.image.version="${VERSION}" \
      org.opencontainers.image.revision="${REVISION}"
COPY --from=build /image/ /
USER 65532:65532
