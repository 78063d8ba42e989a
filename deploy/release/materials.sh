#!/bin/sh
# materials.sh FOLDER TARGET: writes into FOLDER what cargo knows of what Lockkeeper is made of, for sbom.py.
set -eu
folder=$1
target=$2

mkdir -p "$folder"
cp Cargo.lock "$folder"
cargo metadata --format-version 1 --locked --filter-platform "$target" >"$folder/metadata.json"
# All that takes part in a build, then what is linked: `metadata` has features and crates that only tests need.
tree() { cargo tree --locked --target "$target" --format '{p}' "$@"; }
tree --edges no-dev --prefix depth >"$folder/built"
tree --edges normal,no-proc-macro --prefix none >"$folder/linked"
