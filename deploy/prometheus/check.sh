#!/usr/bin/env bash
# The rules' form and what they say, by promtool (Debian: `prometheus`). Without it, it says so and succeeds.
set -euo pipefail
cd "$(dirname "$0")"

if ! command -v promtool >/dev/null; then
    echo "SKIPPED: the Prometheus rules were not checked: there is no promtool on this machine" >&2
    exit 0
fi
promtool check rules recording.yml alerts.yml
promtool check config --syntax-only prometheus.example.yml
promtool test rules tests/*.yml
