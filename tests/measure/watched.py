"""Whether a storm of events is worked through as fast while many people watch. README.md says how to run it."""

import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from statistics import median

from stage import CLUSTER, Daemon, World, free_port, say, until

SERVICES = [f"service-{number:02}" for number in range(40)]
# Of twenty events one asks for new tasks; the others are pushes that nobody follows.
ASKS_EVERY = 20
# What the streams have received, one line when they are told to end.
STREAMS = """
import asyncio, sys
async def watch(port, counts):
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(b"GET /api/v1/stream HTTP/1.1\\r\\nhost: localhost\\r\\naccept: text/event-stream\\r\\n\\r\\n")
    status = await reader.readline()
    assert b" 200 " in status, status
    counts["open"] += 1
    if counts["open"] == counts["wanted"]:
        print("open", flush=True)
    while chunk := await reader.read(65536):
        counts["events"] += chunk.count(b"\\nevent:") + chunk.startswith(b"event:")
        counts["bytes"] += len(chunk)
    counts["closed"] += 1
async def main(port, number):
    counts = {"wanted": number, "open": 0, "closed": 0, "events": 0, "bytes": 0}
    for _ in range(number):
        asyncio.create_task(watch(port, counts))
    await asyncio.get_running_loop().run_in_executor(None, sys.stdin.readline)
    print(counts["events"], counts["bytes"], counts["closed"], flush=True)
asyncio.run(main(int(sys.argv[1]), int(sys.argv[2])))
"""


def main() -> None:
    """One storm after the other, in turn without and with people who watch."""
    arguments = argparse.ArgumentParser()
    arguments.add_argument("--daemon", default="target/release/lockkeeper")
    arguments.add_argument("--world", default="target/release/examples/world")
    arguments.add_argument("--events", type=int, default=40_000)
    arguments.add_argument("--pairs", type=int, default=5)
    arguments.add_argument("--streams", type=int, default=200)
    arguments.add_argument("--rate", type=int, default=1_000, help="requests in a second")
    given = arguments.parse_args()
    if not shutil.which("hey"):
        sys.exit("hey, which sends the requests, is missing: apt-get install hey")
    world = World(given.world)
    try:
        world.queues()
        world.services(SERVICES)
        with tempfile.TemporaryDirectory() as folder:
            daemon = Daemon(os.path.abspath(given.daemon), world, SERVICES, free_port(), Path(folder))
            try:
                storm(world, daemon, given.events)
                compare(pairs(world, daemon, given))
                say("memory", f"{daemon.resident_mib():.1f} MiB resident in the end")
            finally:
                daemon.stop()
    finally:
        world.process.terminate()
        world.process.wait()


def pairs(world: World, daemon: Daemon, given: argparse.Namespace) -> list[tuple[float, float]]:
    """The seconds of each storm: alone, and watched."""
    took = []
    for number in range(given.pairs):
        alone = storm(world, daemon, given.events)
        with Watchers(daemon, given.streams, given.rate) as watchers:
            watched = storm(world, daemon, given.events)
        say(f"storm {number + 1}", f"alone {alone:.2f} s, watched {watched:.2f} s; {watchers.told}")
        took.append((alone, watched))
    return took


def compare(took: list[tuple[float, float]]) -> None:
    """Says how much slower it was, by the median of the pairs."""
    slower = median(watched / alone for alone, watched in took)
    say("slower while watched", f"{(slower - 1) * 100:+.1f} %, median of {len(took)} pairs")


def storm(world: World, daemon: Daemon, events: int) -> float:
    """Puts so many events on the queue while it is emptied; gives the seconds until nothing is left."""
    began, stamp = time.monotonic(), f"{time.time():.6f}"
    for first in range(0, events, 10):
        entries = [{"Id": str(number), "MessageBody": event(number, stamp)} for number in range(first, first + 10)]
        world.call("sqs", "SendMessageBatch", QueueUrl=world.queue, Entries=entries)
    until("the queue is empty", lambda: left(world) == 0, 0.02, 300)
    took = time.monotonic() - began
    until("the lanes are at rest", lambda: at_rest(daemon), 0.5, 120)
    return took


def event(number: int, stamp: str) -> str:
    """A request for new tasks, or a push that nobody follows."""
    made = {"version": "0", "id": f"{stamp}-{number}", "account": "000000000000", "region": "eu-west-1", "resources": []}
    made["time"] = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
    if number % ASKS_EVERY == 0:
        detail = {"service": SERVICES[number // ASKS_EVERY % len(SERVICES)], "refresh": True, "reason": "storm"}
        return json.dumps(made | {"source": "action.deploy", "detail-type": "DEPLOY", "detail": detail})
    detail = {"repository-name": f"{CLUSTER}/others", "image-tag": "v1", "result": "SUCCESS", "action-type": "PUSH"}
    return json.dumps(made | {"source": "aws.ecr", "detail-type": "ECR Image Action", "detail": detail})


def left(world: World) -> int:
    """How many messages are on the queue, held ones too."""
    names = ["ApproximateNumberOfMessages", "ApproximateNumberOfMessagesNotVisible"]
    told = world.call("sqs", "GetQueueAttributes", QueueUrl=world.queue, AttributeNames=names)
    return sum(int(told["Attributes"][name]) for name in names)


def at_rest(daemon: Daemon) -> bool:
    """Whether no lane has anything to do."""
    targets = json.loads(daemon.get("/api/v1/targets?limit=200")[1])["items"]
    return all(target["lane"]["state"] == "idle" for target in targets)


class Watchers:
    """Open streams, and requests at a steady rate, for as long as it lasts."""

    def __init__(self, daemon: Daemon, streams: int, rate: int):
        self.told = ""
        self._streams = subprocess.Popen(
            [sys.executable, "-c", STREAMS, str(daemon.port), str(streams)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        assert self._streams.stdout.readline() == "open\n"
        url, workers = f"http://127.0.0.1:{daemon.port}/api/v1/targets", 20
        command = ["hey", "-z", "600s", "-c", str(workers), "-q", str(rate // workers), url]
        self._requests = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)

    def __enter__(self):
        return self

    def __exit__(self, *_: object) -> None:
        self._requests.send_signal(2)
        told = self._requests.communicate()[0]
        events, size, closed = self._streams.communicate("\n")[0].split()
        rate = next(line.split()[1] for line in told.splitlines() if "Requests/sec" in line)
        answers = next((line.strip() for line in told.splitlines() if "[200]" in line), "no answer")
        slowest = next(line.split()[2] for line in told.splitlines() if "99%" in line)
        self.told = (
            f"{float(rate):.0f} requests/s ({answers}, p99 {float(slowest) * 1000:.1f} ms), "
            f"{events} events to the streams ({int(size) / 1e6:.1f} MB), {closed} of them closed"
        )


if __name__ == "__main__":
    main()
