#!/usr/bin/env bash
# venv.sh DIRECTORY REQUIREMENTS: makes a virtual environment, and the file `ready` in it once all is installed.
set -euo pipefail

directory=$1
requirements=$2

# `--clear` would empty what it leads to, which others may be using.
if [ -L "$directory" ]; then
    echo "$directory is a link: remove it, or bring what it leads to up to date there" >&2
    exit 1
fi

# Debian has Python without `ensurepip`, which `venv` needs: a package of its own brings it.
if ! python3 -c 'import ensurepip, venv' 2>/dev/null; then
    if [ "$(id -u)" != 0 ] || ! command -v apt-get >/dev/null; then
        echo "the end-to-end tests need Python 3 with venv (Debian: apt-get install python3-venv)" >&2
        exit 1
    fi
    apt-get update -qq
    DEBIAN_FRONTEND=noninteractive apt-get install -qq --yes --no-install-recommends python3 python3-venv
fi

python3 -m venv --clear "$directory"
"$directory/bin/python" -m pip install --quiet --disable-pip-version-check --requirement "$requirements"
touch "$directory/ready"
