"""What the pipelines' steps that ask make of EventBridge's answers: an event that was refused fails the job, and nothing waits for it."""

import json
import os
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

import yaml

DEPLOY = Path(__file__).resolve().parents[2] / "deploy"

TAKEN = {"FailedEntryCount": 0, "Entries": [{"EventId": "e-1"}]}
REFUSED = {"FailedEntryCount": 1, "Entries": [{"ErrorCode": "ThrottlingException", "ErrorMessage": "Rate exceeded"}]}
# The answer is the whole of what it is asked for; like the CLI, it ends with 0 whatever stands there.
AWS = '#!/bin/sh\nprintf "%s\\n" "$@" > asked\nprintf "%s\\n" "$ANSWER"\n'


@dataclass(frozen=True)
class Step:
    """One that asks, where it stands, and where its pipeline keeps the scripts."""

    where: str
    script: str
    scripts: str


def steps() -> list[Step]:
    """Those of GitHub and the one of GitLab."""
    found = []
    for path in sorted((DEPLOY / "github-actions").glob("*.yml")):
        for job, it in yaml.safe_load(path.read_text())["jobs"].items():
            asking = [step["run"] for step in it["steps"] if "ask.sh" in step.get("run", "")]
            found += [Step(f"{path.name}: {job}", script, ".github/lockkeeper") for script in asking]
    asking = "\n".join(yaml.safe_load((DEPLOY / "gitlab/.gitlab-ci.yml").read_text())[".deploy"]["script"])
    return [*found, Step(".gitlab-ci.yml", asking, "ci")]


def run(step: Step, answer: dict, folder: Path) -> subprocess.CompletedProcess:
    """Runs it as its runner does, in a clone whose scripts are there, and where waiting only leaves a trace."""
    scripts = folder / step.scripts
    scripts.mkdir(parents=True)
    (scripts / "ask.sh").symlink_to(DEPLOY / "github-actions/ask.sh")
    for file, text in ((folder / "bin/aws", AWS), (scripts / "wait.sh", '#!/bin/sh\necho "$@" > waited\n')):
        file.parent.mkdir(exist_ok=True)
        file.write_text(text)
        file.chmod(0o755)
    environment = {
        "PATH": f"{folder / 'bin'}:{os.environ['PATH']}",
        "ANSWER": json.dumps(answer),
        "GITHUB_OUTPUT": str(folder / "output"),
        "LOCKKEEPER_BUS": "",
        "LOCKKEEPER_URL": "http://lockkeeper.example.com",
        "SERVICE": "api",
        "REPOSITORY": "shop_service_api",
        "TAG": "v2",
    }
    (folder / "output").touch()
    # What the runner sets beside is empty here: `-u` is not among its flags.
    command = ["bash", "--noprofile", "--norc", "-eo", "pipefail", "-c", step.script]
    return subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False, timeout=30)


def check_taken(step: Step) -> None:
    """The event's id is what is waited for, and what was put is one entry of a pipeline's source."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        done = run(step, TAKEN, folder)
        assert done.returncode == 0, f"{step.where}: {done}"
        (entry,) = json.loads((folder / "asked").read_text().splitlines()[3])
        kinds = {("action.deploy", "DEPLOY"), ("github.actions", "Deployment Ready")}
        assert (entry["Source"], entry["DetailType"]) in kinds and entry["EventBusName"] == "default", f"{step.where}: {entry}"
        assert json.loads(entry["Detail"]), f"{step.where}: {entry}"
        waited = folder / "waited"
        told = waited.read_text() if waited.exists() else (folder / "output").read_text().removeprefix("event=")
        assert told == "e-1\n", f"{step.where}: {told!r}"


def check_refused(step: Step) -> None:
    """The job fails, and says why."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        done = run(step, REFUSED, folder)
        assert done.returncode == 1, f"{step.where}: {done}"
        assert "EventBridge refused the event: ThrottlingException: Rate exceeded" in done.stderr, f"{step.where}: {done.stderr}"
        assert not (folder / "output").read_text() and not (folder / "waited").exists(), f"{step.where} waits for nothing"


def main() -> int:
    asking = steps()
    assert len(asking) == 5, asking
    for step in asking:
        check_taken(step)
        check_refused(step)
    print(f"{len(asking)} steps that ask end as EventBridge answers")
    return 0


if __name__ == "__main__":
    sys.exit(main())
