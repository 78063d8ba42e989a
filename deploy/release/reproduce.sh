#!/usr/bin/env bash
# reproduce.sh [FOLDER]: builds the commit that is checked out twice, from clones at two places, and says whether every byte is the
# same; with a FOLDER of artefacts, whether they are those. Two release builds: minutes for each.
set -euo pipefail
cd "$(dirname "$0")/../.."
repository=$PWD
# It takes minutes, in which somebody may commit.
commit=$(git rev-parse HEAD)

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

# Places of different lengths, so that nothing is the same by chance.
build() { # CLONE
    git clone --quiet "$repository" "$1"
    git -C "$1" checkout --quiet --detach "$commit"
    CARGO_TARGET_DIR=$1/target "$1/deploy/release/build.sh" "$1/dist"
    rm -rf "$1/target"
}

first=${1:-$work/first/dist}
[ $# -gt 0 ] || build "$work/first"
build "$work/a/place/that/is/further/down"
if ! diff --brief --recursive "$first" "$work/a/place/that/is/further/down/dist"; then
    echo "the builds differ" >&2
    exit 1
fi
echo "every byte is the same"
