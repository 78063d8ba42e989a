#!/bin/sh
# The pages in a real browser: `run.sh DAEMON WORLD [options of node --test]`. PICTURES=FOLDER keeps pictures of every page.
# Where node, npm, a browser or the packages cannot be had, it says so, and nothing fails.
set -eu

skip() {
    echo "SKIPPED: the pages were not tested in a browser: $1" >&2
    exit 0
}

[ $# -ge 2 ] || { echo "usage: run.sh DAEMON WORLD [options of node --test]" >&2; exit 2; }
LOCKKEEPER_BIN=$(realpath "$1") WORLD_BIN=$(realpath "$2")
shift 2
cd "$(dirname "$0")"

find_browser() {
    for name in chromium chromium-browser google-chrome google-chrome-stable; do
        command -v "$name" && return
    done
    true
}

CHROMIUM=${CHROMIUM:-$(find_browser)}
if [ -z "$CHROMIUM" ] && [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null; then
    { apt-get update -qq && apt-get install -qq --no-install-recommends chromium; } >/dev/null 2>&1 || true
    CHROMIUM=$(find_browser)
fi
[ -n "$CHROMIUM" ] || skip "there is no Chromium on this machine: install the package \`chromium\`, or name one with CHROMIUM"
command -v node >/dev/null || skip "there is no node on this machine"
[ "$(node -p 'Number(process.versions.node.split(".")[0]) >= 20')" = true ] || skip "node is older than 20"

# Only what the lock file names, and again only where that has changed.
if ! cmp -s package-lock.json node_modules/.installed; then
    command -v npm >/dev/null || skip "there is no npm on this machine"
    npm ci --ignore-scripts --no-audit --no-fund --loglevel=error >&2 || skip "the packages that it needs cannot be had"
    cp package-lock.json node_modules/.installed
fi

export LOCKKEEPER_BIN WORLD_BIN CHROMIUM
exec node --test --test-concurrency=1 --test-reporter=spec "$@" ./*.test.mjs
