"""The scripts that stand in workflows, by shellcheck: what GitHub and GitLab fill in is a word there."""

import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import yaml

DEPLOY = Path(__file__).resolve().parents[2] / "deploy"


def github() -> list[tuple[str, str]]:
    """Where each `run` stands, and what it says."""
    found = []
    for path in sorted((DEPLOY / "github-actions").glob("*.yml")):
        for name, job in yaml.safe_load(path.read_text())["jobs"].items():
            found += [(f"{path.name}: {name}", it["run"]) for it in job["steps"] if "run" in it]
    return found


def gitlab() -> list[tuple[str, str]]:
    """Each job's lines, as the runner joins them."""
    found = []
    for name, job in yaml.safe_load((DEPLOY / "gitlab/.gitlab-ci.yml").read_text()).items():
        if isinstance(job, dict):
            lines = [*job.get("before_script", []), *job.get("script", [])]
            found += [(f".gitlab-ci.yml: {name}", "\n".join(lines))] if lines else []
    return found


def main() -> int:
    scripts = github() + gitlab()
    assert len(scripts) > 15, scripts
    inside = [where for where, text in scripts if "${{" in text]
    for where in inside:
        print(f"{where}: an expression within a script can be code of somebody else: put it into `env`", file=sys.stderr)
    if not shutil.which("shellcheck"):
        print("SKIPPED: the scripts of workflows were not checked: there is no shellcheck on this machine", file=sys.stderr)
        return 1 if inside else 0
    failed = bool(inside)
    for where, text in scripts:
        with tempfile.NamedTemporaryFile("w", suffix=".sh") as file:
            file.write("#!/usr/bin/env bash\nset -eo pipefail\n" + re.sub(r"\r", "", text) + "\n")
            file.flush()
            done = subprocess.run(["shellcheck", "--exclude=SC2154", file.name], capture_output=True, text=True, check=False)
        if done.returncode:
            failed = True
            print(f"{where}:\n{done.stdout}", file=sys.stderr)
    print(f"{len(scripts)} scripts of workflows looked at")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
