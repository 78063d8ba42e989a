#!/usr/bin/env bash
# build.sh [FOLDER]: writes what a release consists of into FOLDER (dist): the binary with its manual, what it is made of, and the
# checksums of both. The same commit and the same tools give the same bytes, whatever folder they are built in.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
cd "$here/../.."
repository=$PWD

out=${1:-dist}
version=$(sed -n 's/^version = "\(.*\)"/\1/p' Cargo.toml | head -1)
target=$(rustc --print host-tuple)
name=lockkeeper-$version-$target

# What is built must be what the revision says that it is.
if [ -n "$(git status --porcelain)" ]; then
    echo "there are changes that are not committed: a release is built from a commit" >&2
    exit 1
fi
SOURCE_DATE_EPOCH=$(git log -1 --format=%ct)
LOCKKEEPER_REVISION=$(git rev-parse HEAD | cut -c 1-12)
export SOURCE_DATE_EPOCH LOCKKEEPER_REVISION

# The places of sources and caches stand in messages of panics; they become the same everywhere.
cargo_home=${CARGO_HOME:-$HOME/.cargo}
target_dir=${CARGO_TARGET_DIR:-$repository/target}
export RUSTFLAGS="--remap-path-prefix=$repository=/lockkeeper --remap-path-prefix=$target_dir=/target --remap-path-prefix=$cargo_home=/cargo"
export CFLAGS="-ffile-prefix-map=$target_dir=/target -ffile-prefix-map=$cargo_home=/cargo"
export CARGO_INCREMENTAL=0 LC_ALL=C TZ=UTC
umask 022

# With a target named, build scripts and macros are not built with these flags, and so not again.
cargo build --release --locked --bin lockkeeper --target "$target"
binary=$target_dir/$target/release/lockkeeper

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
mkdir -p "$out" "$work/$name/completions"
install -m 0755 "$binary" "$work/$name/lockkeeper"
install -m 0644 README.md CHANGELOG.md LICENSE-APACHE LICENSE-MIT config/default.toml "$work/$name"
"$binary" man >"$work/$name/lockkeeper.1"
for shell in bash fish zsh; do "$binary" completions "$shell" >"$work/$name/completions/$shell"; done

"$here/materials.sh" "$work/materials" "$target"
python3 "$here/sbom.py" "$work/materials" >"$out/$name.cdx.json"
"$here/pack.sh" "$work" "$name" >"$out/$name.tar.gz"
(cd "$out" && sha256sum "$name.tar.gz" "$name.cdx.json" >SHA256SUMS)
cat "$out/SHA256SUMS"
