"""What Lockkeeper costs and how fast it is, against the simulated world on this machine. README.md says how to run it."""

import argparse
import os
import subprocess
import tempfile
import time
from pathlib import Path
from statistics import median

from stage import CLUSTER, ENVIRONMENT, Daemon, World, free_port, milliseconds, say, until

SERVICES = [f"service-{number:02}" for number in range(20)]
OF_PEER = "peer"
# Seconds between two events: half of what ECS allows of RegisterTaskDefinition is one in two seconds, and waiting for
# that is no cost of ours.
PACE = 2.1
READS = ("DescribeServices", "DescribeTaskDefinition", "ListServiceDeployments")


def main() -> None:
    """Measures one thing after the other, and ends what it started."""
    arguments = argparse.ArgumentParser()
    arguments.add_argument("--daemon", default="target/release/lockkeeper")
    arguments.add_argument("--world", default="target/release/examples/world")
    arguments.add_argument("--peer", help="the `ecs` of ecs-deploy; without it nothing is compared")
    arguments.add_argument("--events", type=int, default=200)
    arguments.add_argument("--idle-seconds", type=int, default=60)
    given = arguments.parse_args()
    binary, world = os.path.abspath(given.daemon), World(given.world)
    try:
        world.queues()
        world.services([*SERVICES, OF_PEER])
        with tempfile.TemporaryDirectory() as folder:
            starts(binary, world, Path(folder), given.idle_seconds)
            daemon = Daemon(binary, world, SERVICES, free_port(), Path(folder))
            try:
                ours = deployments(world, daemon, given.events)
            finally:
                daemon.stop()
        raw_calls(world)
        if given.peer:
            compare(ours, peer(world, os.path.abspath(given.peer)))
    finally:
        world.process.terminate()
        world.process.wait()


def starts(binary: str, world: World, folder: Path, idle_seconds: int) -> None:
    """Starts it ten times, and watches the last one do nothing."""
    ready = []
    for is_last in [False] * 9 + [True]:
        daemon = Daemon(binary, world, SERVICES, free_port(), folder)
        ready.append(daemon.ready_ms)
        if is_last:
            time.sleep(2)
            before = daemon.cpu_ms()
            time.sleep(idle_seconds)
            cpu = (daemon.cpu_ms() - before) / (idle_seconds * 10)
            say("idle", f"{daemon.resident_mib():.1f} MiB resident, {cpu:.3f} % CPU over {idle_seconds} s")
        daemon.stop()
    say("start to ready", f"{spread(ready)} of 10")
    say("binary", f"{os.path.getsize(binary) / 1e6:.2f} MB ({os.path.getsize(binary) / 2**20:.2f} MiB)")


def deployments(world: World, daemon: Daemon, events: int) -> tuple[float, float]:
    """Deploys one push after the other; gives wall and CPU of one, in milliseconds."""
    latencies, calls, sent = [], [], {}
    cpu = daemon.cpu_ms()
    for number in range(events):
        name = SERVICES[number % len(SERVICES)]
        event = world.push(name, f"v{number + 1}")
        before = world.last()
        sent[event["id"]] = time.time() * 1000
        world.send(event)
        lines = until("the message is deleted", lambda at=before: deleted(world.log(at)), 0.03)
        started = next(line for line in lines if line["operation"] == "UpdateService")
        put = next(line for line in lines if line["operation"] == "SendMessage")
        latencies.append(milliseconds(started["at"]) - milliseconds(put["at"]))
        time.sleep(PACE)
        calls.append([line["operation"] for line in lines])
    cpu = (daemon.cpu_ms() - cpu) / events
    told = until("all succeeded", lambda: all_succeeded(daemon, events), 0.1)
    walls = [milliseconds(it["finished_at"]) - sent[it["triggers"][0]["event_id"]] for it in told]
    say("event on the queue to UpdateService", f"{spread(latencies)} of {events} events")
    say("the calls of the last one", " ".join(calls[-1]))
    say("event to `succeeded`", f"{spread(walls)}; CPU {cpu:.2f} ms each")
    return median(walls), cpu


def all_succeeded(daemon: Daemon, events: int) -> list[dict]:
    """What was deployed, once all of it is told: the API is a tenth of a second behind."""
    told = [it for name in SERVICES for it in daemon.deployments(name)]
    return told if [it["outcome"] for it in told] == ["succeeded"] * events else []


def deleted(lines: list[dict]) -> list[dict]:
    """These calls, if the last of a deployment is among them."""
    return lines if any(line["operation"] == "DeleteMessageBatch" for line in lines) else []


def raw_calls(world: World) -> None:
    """How long the world itself takes to answer, asked without an SDK."""
    service = {"cluster": CLUSTER, "service": SERVICES[0]}
    bodies = [
        {"cluster": CLUSTER, "services": [SERVICES[0]]},
        {"taskDefinition": SERVICES[0], "include": ["TAGS"]},
        service,
    ]
    for operation, body in [*zip(READS, bodies, strict=True), ("UpdateService", service)]:
        took = []
        for _ in range(200):
            began = time.perf_counter()
            world.call("ecs", operation, **body)
            took.append((time.perf_counter() - began) * 1000)
        say(f"the world's answer to {operation}", spread(took))


def peer(world: World, binary: str) -> tuple[float, float]:
    """Deploys ten times with ecs-deploy; gives wall and CPU of one, in milliseconds."""
    walls, cpus = [], []
    for number in range(10):
        command = [binary, "deploy", CLUSTER, OF_PEER, "-t", f"v{number + 1}", "--timeout", "60"]
        began = time.perf_counter()
        child = subprocess.Popen(
            command, env=ENVIRONMENT | {"AWS_ENDPOINT_URL": world.url}, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
        )
        told = child.stdout.read().decode(errors="replace")
        _, status, used = os.wait4(child.pid, 0)
        child.returncode = os.waitstatus_to_exitcode(status)
        walls.append((time.perf_counter() - began) * 1000)
        cpus.append((used.ru_utime + used.ru_stime) * 1000)
        assert child.returncode == 0, told
    say("ecs-deploy, the same", f"{spread(walls)} of 10; CPU {median(cpus):.0f} ms each")
    return median(walls), median(cpus)


def compare(ours: tuple[float, float], theirs: tuple[float, float]) -> None:
    """Says how much less is used."""
    say("less than ecs-deploy", f"wall {theirs[0] / ours[0]:.0f} times, CPU {theirs[1] / ours[1]:.0f} times")


def spread(values: list[float]) -> str:
    """Median, 99th percentile and maximum, in milliseconds."""
    ranked = sorted(values)
    p99 = ranked[min(len(ranked) - 1, len(ranked) * 99 // 100)]
    return f"p50 {median(ranked):.1f} ms, p99 {p99:.1f} ms, max {ranked[-1]:.1f} ms"


if __name__ == "__main__":
    main()
