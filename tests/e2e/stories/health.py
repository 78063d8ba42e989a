"""What stands still shows: to probes, in metrics and in the log. And it holds up nobody else."""

import os
import threading
import time
from pathlib import Path

import events
from daemon import Daemon
from gate import Gate
from processes import until
from stage import Stage

FAR = "us-east-1"

# So many calls that no story outlasts them.
EVERY = 1_000_000


class Pipe:
    """Where a process writes its log to, and a reader who may look away: the pipe then fills, and writing waits."""

    def __init__(self, path: Path):
        os.mkfifo(path)
        self.read = path.with_suffix(".read")
        self.read.touch()
        self._source = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
        self._looks = threading.Event()
        self.look()
        threading.Thread(target=self._go_on, daemon=True).start()

    def look(self) -> None:
        self._looks.set()

    def look_away(self) -> None:
        self._looks.clear()

    def _go_on(self) -> None:
        with self.read.open("ab") as sink:
            while True:
                self._looks.wait()
                try:
                    sink.write(os.read(self._source, 65_536))
                    sink.flush()
                except BlockingIOError:
                    pass
                time.sleep(0.01)


def a_receive_that_hangs_shows(stage: Stage) -> None:
    stage.queues()
    stage.with_rollouts()
    stage.service()
    gate = Gate(stage.emulator.url, "ReceiveMessage")
    gate.open()
    stage.endpoints["AWS_ENDPOINT_URL_SQS"] = gate.url
    daemon = stage.run(stage.target())
    gate.shut()
    until("it is not ready", lambda: daemon.status("/readyz") == 503, 90)
    intake = _parts(daemon)["intake"]
    assert "no answer in time" in intake["detail"] and intake["since"], intake
    assert daemon.metric("lockkeeper_healthy", part="intake") == 0
    assert daemon.metric("lockkeeper_aws_requests_total", operation="ReceiveMessage", result="lost") > 0
    until("it is told", lambda: daemon.says("not healthy: intake"))
    assert daemon.command("health").returncode == 1
    gate.open()
    until("it is ready again", lambda: daemon.status("/readyz") == 200, 60)
    stage.put(events.deploy("api"))
    (deployment,) = stage.finished(daemon)
    assert deployment["outcome"] == "succeeded", deployment
    stage.rest(daemon)
    gate.close()


def a_loop_that_stands_still_shows(stage: Stage) -> None:
    stage.queues()
    stage.with_rollouts()
    stage.service()
    pipe = Pipe(stage.folder / "daemon-1.log")
    daemon = stage.launch(stage.target())
    daemon.log_file = pipe.read
    daemon.wait_until_ready()
    # Who reads the log stops, as a log driver that blocks does: to write a line waits for ever.
    pipe.look_away()
    stage.put(*(events.deploy("api", reason="x" * 4_000) for _ in range(40)))
    until("it is not alive", lambda: daemon.status("/livez") == 503, 60)
    assert daemon.status("/readyz") == 503 and daemon.status("/health") == 503
    loop = daemon.get("/livez")["parts"]["loop"]
    assert loop["detail"].startswith("the loop has not turned for") and loop["since"], loop
    assert daemon.metric("lockkeeper_healthy", part="loop") == 0
    # Whoever tells of it looks once a second.
    time.sleep(2)
    pipe.look()
    until("it is ready again", lambda: daemon.status("/readyz") == 200, 30)
    assert daemon.metric("lockkeeper_healthy", part="loop") == 1
    until("it was told", lambda: daemon.says("not healthy: loop") and daemon.says("healthy again: loop"))
    stage.finished(daemon)
    stage.rest(daemon)


def a_dead_region_holds_up_nobody_else(stage: Stage) -> None:
    stage.queues()
    stage.with_rollouts()
    stage.service("api")
    _far_service(stage, "far")
    daemon = stage.run(stage.target("api"), stage.target("far", region=FAR))
    stage.world.fault("*", "hang", EVERY, region=FAR)
    stage.put(events.deploy("far"))
    until("the far service is looked at", lambda: daemon.target("far")["lane"]["state"] == "looking")
    for number in (1, 2):
        _is_deployed_at_once(stage, daemon, "api", number)
    until("the silence shows", lambda: _parts(daemon).get(f"ecs/{FAR}", {}).get("ok") is False, 60)
    assert daemon.metric("lockkeeper_healthy", part=f"ecs/{FAR}") == 0
    for path in ("/readyz", "/health", "/livez"):
        assert daemon.status(path) == 200, "a restart would mend nothing"
    part = _parts(daemon)[f"ecs/{FAR}"]
    assert "has not answered" in part["detail"] and part["since"], part
    assert _parts(daemon)["ecs/eu-west-1"]["ok"] is True
    until("it is told", lambda: daemon.says(f"not healthy: ecs/{FAR}"))
    health = daemon.command("health")
    assert health.returncode == 0 and f"ECS has not answered in {FAR}" in health.stdout, health.stdout
    _is_deployed_at_once(stage, daemon, "api", 3)
    assert not daemon.deployments(target="far", outcome="failed"), "it waits for its Region"
    stage.world.heal()
    (far,) = until("the far one is deployed", lambda: daemon.deployments(target="far", outcome="succeeded"), 90)
    assert f"/{FAR}/" in far["target"], far
    until("it is told", lambda: daemon.says(f"healthy again: ecs/{FAR}"))
    assert daemon.metric("lockkeeper_healthy", part=f"ecs/{FAR}") == 1
    stage.rest(daemon)


def stuck_services_hold_up_nobody_else(stage: Stage) -> None:
    stage.queues()
    stage.with_rollouts()
    stage.service("api")
    stage.service("web", breaker=None)
    mail = f"{stage.cluster}-mail"
    stage.service("mail", cluster=mail)
    target = f'[[target]]\nname = "mail"\ncluster = "{mail}"\nservice = "mail"\nquiet = "200ms"\n'
    daemon = stage.run(stage.target("api"), stage.target("web"), target)
    # One rolls out what never starts, and of the other every call hangs.
    stage.push("web", "latest", "hang")
    stage.world.fault("*", "hang", EVERY, mentions=mail)
    stage.put(events.deploy("web"), events.deploy("mail"))
    until("one is stuck", lambda: daemon.target("web")["lane"]["state"] == "watching")
    until("the other one is stuck", lambda: daemon.target("mail")["lane"]["state"] == "looking")
    for number in (1, 2):
        _is_deployed_at_once(stage, daemon, "api", number)
    states = {name: daemon.target(name)["lane"]["state"] for name in ("web", "mail")}
    assert states["web"] == "watching" and states["mail"] in ("looking", "backing_off"), states
    assert daemon.status("/readyz") == 200 and not daemon.deployments(outcome="failed")
    stage.world.heal()
    until("mail is deployed", lambda: daemon.deployments(target="mail", outcome="succeeded"), 90)


def _is_deployed_at_once(stage: Stage, daemon: Daemon, name: str, number: int) -> None:
    """A deployment of this target ends well, and soon."""
    stage.put(events.deploy(name))
    done = lambda: len(daemon.deployments(target=name, outcome="succeeded")) == number
    until(f"{name} is deployed, time {number}", done, 20)


def _parts(daemon: Daemon) -> dict:
    return daemon.get("/readyz")["parts"]


def _far_service(stage: Stage, name: str) -> None:
    """Makes a service in the other Region, and waits until it runs."""
    ecs = stage.client("ecs", FAR)
    ecs.create_cluster(clusterName=stage.cluster)
    image = f"{stage.account}.dkr.ecr.{FAR}.amazonaws.com/{name}:latest"
    ecs.register_task_definition(
        family=name, containerDefinitions=[{"name": "app", "image": image, "memory": 128}]
    )
    ecs.create_service(cluster=stage.cluster, serviceName=name, taskDefinition=name, desiredCount=1)

    def is_steady() -> bool:
        described = ecs.describe_services(cluster=stage.cluster, services=[name])["services"][0]
        return [it.get("rolloutState") for it in described["deployments"]] == ["COMPLETED"]

    until(f"{name} is steady", is_steady)
    stage.forget()
