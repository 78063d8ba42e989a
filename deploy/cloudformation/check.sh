#!/usr/bin/env bash
# The templates' form, by cfn-lint of the virtual environment whose Python is given, or of the machine.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)

lint=cfn-lint
if [ $# -gt 0 ]; then
    lint=$(dirname "$1")/cfn-lint
fi
if ! command -v "$lint" >/dev/null; then
    echo "SKIPPED: the CloudFormation templates were not checked: there is no cfn-lint on this machine" >&2
    exit 0
fi
"$lint" "$here"/*.yaml
