"""A job of a CI system asks for a deployment, and waits for its outcome, by the scripts that are shipped for that."""

import json
import os
import subprocess
import sys
from pathlib import Path

import events
from daemon import Daemon
from stage import REGION, Stage

SCRIPTS = Path(__file__).resolve().parents[3] / "deploy/github-actions"


def _put(stage: Stage, event: events.Event) -> subprocess.CompletedProcess:
    """Puts an event by the script that is shipped for that, and the AWS CLI."""
    tools = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    environment = {**stage.environment(), "PATH": tools, "AWS_DEFAULT_REGION": REGION, "LOCKKEEPER_BUS": stage.bus_name}
    command = [str(SCRIPTS / "ask.sh"), event.source, event.detail_type, json.dumps(event.detail)]
    return subprocess.run(command, env=environment, capture_output=True, text=True, check=False, timeout=60)


def _ask(stage: Stage, event: events.Event) -> str:
    """Puts an event that is taken, and says its id."""
    done = _put(stage, event)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def _wait(daemon: Daemon, event: str, *words: str, token: str | None = None) -> subprocess.CompletedProcess:
    environment = {"PATH": os.environ["PATH"], "LOCKKEEPER_URL": f"http://127.0.0.1:{daemon.port}", "LOCKKEEPER_PAUSE": "0.2"}
    if token:
        environment["LOCKKEEPER_TOKEN"] = token
    command = [str(SCRIPTS / "wait.sh"), event, *words]
    return subprocess.run(command, env=environment, capture_output=True, text=True, check=False, timeout=90)


def a_job_ends_as_the_deployment_that_it_asked_for(stage: Stage) -> None:
    stage.queues()
    stage.with_rollouts()
    stage.service(image=stage.image("api", "v1"))
    daemon = stage.run(stage.target(on_push="pin"))
    stage.push("api", "v2")
    done = _wait(daemon, _ask(stage, events.deploy("api", tag="v2")), "60")
    assert done.returncode == 0 and "succeeded" in done.stdout.splitlines()[-1], (done.stdout, done.stderr)
    done = _wait(daemon, _ask(stage, events.ready("api", "nope")), "60")
    lines = done.stdout.splitlines()
    assert done.returncode == 1 and "rolled_back" in lines[-2], (done.stdout, done.stderr)
    assert json.loads(lines[-1])["stopped_tasks"], lines
    done = _wait(daemon, "00000000-0000-4000-8000-000000000000", "2")
    assert done.returncode == 2 and "nothing was known" in done.stderr, (done.stdout, done.stderr)


def a_job_whose_event_is_refused_fails(stage: Stage) -> None:
    """EventBridge takes no event of AWS's own sources, and answers 200."""
    stage.queues()
    done = _put(stage, events.Event("aws.ecr", "ECR Image Action", {}))
    assert done.returncode == 1 and not done.stdout, (done.stdout, done.stderr)
    assert "refused the event: NotAuthorizedForSource" in done.stderr, done.stderr


def a_job_fails_if_one_of_several_targets_does(stage: Stage) -> None:
    """One event reaches both, one after the other: the first fails, the second succeeds."""
    stage.queues()
    stage.with_rollouts()
    image = stage.image("shop", "v1")
    stage.service("api", image=image)
    stage.service("web", image=image)
    pinned = stage.target("api", repositories=["shop"], on_push="pin", max_parallel=1)
    followed = stage.target("web", repositories=["shop"], on_push="follow", max_parallel=1)
    daemon = stage.run(pinned, followed)
    done = _wait(daemon, _ask(stage, events.ready("shop", "nope")), "60")
    ended = stage.finished(daemon, 2)
    assert [(it["target"].rpartition("/")[2], it["outcome"]) for it in ended] == [("api", "rolled_back"), ("web", "succeeded")], ended
    assert done.returncode == 1, (done.stdout, done.stderr)
    told = [line for line in done.stdout.splitlines() if ": rolled_back" in line or ": succeeded" in line]
    assert [line.partition(",")[0].rpartition("/")[2] for line in told] == ["api", "web"], done.stdout
    assert json.loads(done.stdout.splitlines()[-1])["stopped_tasks"], done.stdout


def a_job_that_waits_shows_its_token(stage: Stage) -> None:
    stage.queues()
    stage.with_rollouts()
    stage.service(image=stage.image("api", "v1"))
    secret = "0123456789abcdef0123456789abcdef"
    tokens = '[http]\nreads = "token"\n[[http.tokens]]\nname = "ci"\nrole = "read"\nenv = "CI_TOKEN"\n'
    daemon = stage.run(stage.target(on_push="pin"), tokens, environment={"CI_TOKEN": secret})
    stage.push("api", "v2")
    event = _ask(stage, events.deploy("api", tag="v2"))
    done = _wait(daemon, event, "60", token=secret)
    assert done.returncode == 0, (done.stdout, done.stderr)
    done = _wait(daemon, event, "2")
    assert done.returncode == 2 and "401" in done.stderr, (done.stdout, done.stderr)
