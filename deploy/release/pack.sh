#!/usr/bin/env bash
# pack.sh FOLDER NAME: writes the folder NAME in FOLDER as an archive, the same bytes for the same files: without owner, order and
# time of whoever packs it. SOURCE_DATE_EPOCH is the time that the files bear.
set -euo pipefail

tar --create --directory "$1" --format=ustar --sort=name --mtime="@${SOURCE_DATE_EPOCH:?}" --owner=0 --group=0 --numeric-owner \
    --mode='u+rw,go+r,go-w' "$2" | gzip --no-name --best
