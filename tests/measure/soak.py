"""An hour under a steady load, and whether memory, descriptors and threads stay as they are. README.md says how to run it."""

import argparse
import json
import os
import random
import sys
import tempfile
import time
from pathlib import Path
from statistics import mean

from stage import Daemon, World, free_port, say, until

SERVICES = [f"service-{number:02}" for number in range(40)]
# MiB per hour, while what is remembered fills its bounds: 1,000 deployments and 4,096 definitions, in two hours of this load.
MOST_GROWTH = 8
STEPS = {"start_ms": 2_000, "settle_ms": 1_000, "drain_ms": 500}


class Samples:
    """What the process uses, over time."""

    def __init__(self, daemon: Daemon):
        self.daemon = daemon
        self.rows: list[tuple[float, float, int, int]] = []
        self._began = time.monotonic()

    def take(self) -> None:
        """One more."""
        folder = Path(f"/proc/{self.daemon.process.pid}")
        descriptors, threads = len(os.listdir(folder / "fd")), len(os.listdir(folder / "task"))
        self.rows.append((time.monotonic() - self._began, self.own_mib(), descriptors, threads))

    def own_mib(self) -> float:
        """The memory that it holds itself, without the pages of its binary, which come in as they are first used."""
        status = Path(f"/proc/{self.daemon.process.pid}/status").read_text()
        return int(status.split("RssAnon:")[1].split()[0]) / 1024

    def slope(self) -> float:
        """How much more memory it holds per hour, by the line of least squares through the last three quarters."""
        rows = self.rows[len(self.rows) // 4 :]
        times, sizes = [row[0] / 3600 for row in rows], [row[1] for row in rows]
        middle, height = mean(times), mean(sizes)
        spread = sum((at - middle) ** 2 for at in times)
        return sum((at - middle) * (size - height) for at, size in zip(times, sizes, strict=True)) / spread

    def span(self, column: int) -> tuple[int, int]:
        """The least and the most of the last three quarters."""
        values = [row[column] for row in self.rows[len(self.rows) // 4 :]]
        return min(values), max(values)


def main() -> None:
    """Loads, samples, and tells."""
    arguments = argparse.ArgumentParser()
    arguments.add_argument("--daemon", default="target/release/lockkeeper")
    arguments.add_argument("--world", default="target/release/examples/world")
    arguments.add_argument("--minutes", type=float, default=60)
    arguments.add_argument("--rate", type=float, default=20, help="events in a second")
    arguments.add_argument("--seed", type=int, default=1)
    given = arguments.parse_args()
    world, chance = World(given.world), random.Random(given.seed)
    try:
        world.queues()
        world.services(SERVICES)
        world.control("POST", "/_sim/settings", {"ecs": STEPS})
        with tempfile.TemporaryDirectory() as folder:
            daemon = Daemon(os.path.abspath(given.daemon), world, SERVICES, free_port(), Path(folder))
            try:
                samples = load(world, daemon, chance, given.minutes * 60, given.rate)
                until("everything is done", lambda: held(daemon) == 0, 1, 300)
                tell(samples, daemon)
            finally:
                daemon.stop()
    finally:
        world.process.terminate()
        world.process.wait()


def load(world: World, daemon: Daemon, chance: random.Random, seconds: float, rate: float) -> Samples:
    """Sends events at this rate for so long."""
    samples, began, sent = Samples(daemon), time.monotonic(), 0
    last: list[dict] = []
    while (now := time.monotonic() - began) < seconds:
        while sent < now * rate:
            body = event(world, chance, sent, last)
            world.call("sqs", "SendMessage", QueueUrl=world.queue, MessageBody=body)
            sent += 1
        if now >= 10 * len(samples.rows):
            samples.take()
            if len(samples.rows) % 30 == 1:
                at, size, descriptors, threads = samples.rows[-1]
                say(f"{at / 60:.0f} min", f"{size:.1f} MiB, {descriptors} descriptors, {threads} threads, {sent} events")
        time.sleep(0.02)
    say("events", str(sent))
    return samples


def event(world: World, chance: random.Random, number: int, last: list[dict]) -> str:
    """A push, a request, one that came before, or nothing that anybody understands."""
    name = chance.choice(SERVICES)
    kind = chance.random()
    if kind < 0.6 or not last:
        made = world.push(name, f"v{number}")
    elif kind < 0.85:
        made = {**last[-1], "id": f"request-{number}", "source": "action.deploy", "detail-type": "DEPLOY"}
        made["detail"] = {"service": name, "refresh": True, "reason": "soak"}
    elif kind < 0.98:
        made = chance.choice(last)
    else:
        return "{" + "x" * chance.randrange(1000)
    last.append(made)
    del last[:-50]
    return json.dumps(made)


def held(daemon: Daemon) -> float:
    """Messages that are held or wait."""
    lines = daemon.get("/metrics")[1].decode().splitlines()
    wanted = ("lockkeeper_leases_held", 'lockkeeper_queue_messages{queue="events"')
    return sum(float(line.rsplit(" ", 1)[1]) for line in lines if line.startswith(wanted))


def tell(samples: Samples, daemon: Daemon) -> None:
    """Says what was seen; ends with 1 where something grew."""
    lines = daemon.get("/metrics")[1].decode().splitlines()
    for name in ("lockkeeper_deployments_total", "lockkeeper_leases_lost_total", "lockkeeper_promise_violations_total"):
        say(name, str(sum(float(line.rsplit(" ", 1)[1]) for line in lines if line.startswith(name))))
    slope, sizes = samples.slope(), [row[1] for row in samples.rows]
    say("memory", f"{sizes[0]:.1f} MiB at first, {sizes[-1]:.1f} MiB at last, {slope:+.2f} MiB per hour")
    spans = {"descriptors": samples.span(2), "threads": samples.span(3)}
    for what, (least, most) in spans.items():
        say(what, f"{least} to {most}")
    say("CPU", f"{daemon.cpu_ms() / samples.rows[-1][0] / 10:.1f} %")
    if slope > MOST_GROWTH or any(most - least > 16 for least, most in spans.values()):
        sys.exit("it grows")


if __name__ == "__main__":
    main()
