#!/usr/bin/env bash
# bases.sh [build] [materials] [run]: stand-ins for the images that the Dockerfile builds on, under their real names, for a machine that reaches no registry of
# images: Debian's own packages, and this machine's Rust. What they show of the Dockerfile is true of the real ones, too; what
# the real ones hold, they cannot show.
set -euo pipefail

readonly build_base=docker.io/library/rust:1.95-slim-bookworm run_base=gcr.io/distroless/cc-debian12:nonroot
readonly materials_base=docker.io/library/python:3.13-slim-bookworm
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

# Debian, a C linker, and the toolchain that is in use here.
build_stand_in() {
    debootstrap --variant=minbase --include=gcc,libc6-dev,ca-certificates bookworm "$work/debian" >&2
    local id
    id=$(buildah from scratch)
    buildah add --quiet "$id" "$work/debian" / >/dev/null
    buildah add --quiet "$id" "$(rustc --print sysroot)" /usr/local/rust >/dev/null
    buildah config --env PATH=/usr/local/rust/bin:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin \
        --env CARGO_HOME=/usr/local/cargo "$id"
    buildah commit --quiet "$id" "$build_base" >/dev/null
    buildah rm "$id" >/dev/null
}

# Debian with its Python and the library that comes with it.
materials_stand_in() {
    debootstrap --variant=minbase --include=python3 bookworm "$work/python" >&2
    local id
    id=$(buildah from scratch)
    buildah add --quiet "$id" "$work/python" / >/dev/null
    buildah commit --quiet "$id" "$materials_base" >/dev/null
    buildah rm "$id" >/dev/null
}

# The C library, its certificates and time zones: no shell and no package manager, as in distroless.
run_stand_in() {
    mkdir "$work/debs" "$work/root"
    (cd "$work/debs" && apt-get download --quiet libc6 libgcc-s1 ca-certificates tzdata >&2)
    local package
    for package in "$work"/debs/*.deb; do dpkg-deb --extract "$package" "$work/root"; done
    install -D --mode=0644 /etc/ssl/certs/ca-certificates.crt "$work/root/etc/ssl/certs/ca-certificates.crt"
    printf 'nonroot:x:65532:65532:nonroot:/home/nonroot:/sbin/nologin\n' >"$work/root/etc/passwd"
    install --directory --mode=1777 "$work/root/tmp"
    # Debian's C library brings some small programs, which distroless leaves out.
    rm -rf "$work"/root/{usr,}/{s,}bin
    local id
    id=$(buildah from scratch)
    buildah add --quiet "$id" "$work/root" / >/dev/null
    buildah config --user 65532 --env SSL_CERT_FILE=/etc/ssl/certs/ca-certificates.crt "$id"
    buildah commit --quiet "$id" "$run_base" >/dev/null
    buildah rm "$id" >/dev/null
}

has() { buildah inspect --type image "$1" >/dev/null 2>&1; }

[ $# -gt 0 ] || set -- build materials run
for base in "$@"; do
    name=${base}_base
    has "${!name}" || "${base}_stand_in"
done
