"""The AWS that the product talks to: two emulators that others wrote, and our own world for rollouts that take time."""

import base64
import json
import os
import re
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import processes
from calls import Call

REPOSITORY = Path(__file__).resolve().parents[2]

# By the word before the operation in `x-amz-target`, without a version.
SERVICES = {
    "AmazonEC2ContainerRegistry": "ecr",
    "AmazonEC2ContainerServiceV20141113": "ecs",
    "AmazonSQS": "sqs",
    "AmazonSSM": "ssm",
    "DynamoDB": "dynamodb",
    "secretsmanager": "secretsmanager",
}


class Ministack:
    """SQS, EventBridge and STS. A caller's access key of twelve digits is its account, so stories share nothing."""

    takes_aws_sources = False
    python = REPOSITORY / ".venv-ministack" / "bin" / "python"

    def __init__(self, folder: Path):
        port = processes.free_port()
        self.url = f"http://127.0.0.1:{port}"
        environment = {
            "PATH": os.environ["PATH"],
            "HOME": str(folder),
            "GATEWAY_PORT": str(port),
            "MINISTACK_HOST": "127.0.0.1",
        }
        log = folder / "ministack.log"
        command = [str(self.python), "-m", "ministack"]
        self.process = processes.start(command, log, cwd=folder, env=environment)
        processes.until("ministack answers", lambda: processes.fetch(self.url)[0] != 0, 30)


class Moto:
    """Everything, with a record of what it was asked. Rollouts are over at once, and all callers are one account."""

    takes_aws_sources = True
    account = "123456789012"
    name = "moto"
    server = [str(Path(sys.executable).with_name("moto_server"))]

    def __init__(self, folder: Path):
        port = processes.free_port()
        self.url = f"http://127.0.0.1:{port}"
        self.record = folder / f"{self.name}-record.jsonl"
        environment = {
            "PATH": os.environ["PATH"],
            "HOME": str(folder),
            "MOTO_ENABLE_RECORDING": "1",
            "MOTO_RECORDER_FILEPATH": str(self.record),
            # As many tasks run at once as are desired: new services are COMPLETED.
            "MOTO_ECS_SERVICE_RUNNING": "1",
        }
        log = folder / f"{self.name}.log"
        command = [*self.server, "-H", "127.0.0.1", "-p", str(port)]
        self.process = processes.start(command, log, cwd=folder, env=environment)
        processes.until("moto answers", lambda: processes.fetch(f"{self.url}/moto-api/")[0] != 0, 60)

    def calls(self) -> list[dict]:
        """What the product asked of ECS, in order."""
        calls = []
        for entry in self._recorded():
            headers = {name.lower(): value for name, value in entry["headers"].items()}
            service, _, operation = headers.get("x-amz-target", "").partition(".")
            if service.startswith("AmazonEC2ContainerService") and "rust" in headers.get("user-agent", ""):
                body = base64.b64decode(entry["body"]) if entry["body_encoded"] else entry["body"]
                calls.append({"operation": operation, "request": json.loads(body or "{}")})
        return calls

    def requests(self) -> list[Call]:
        """What the product asked in this account of all services that are asked in JSON, in order."""
        found = []
        for entry in self._recorded():
            headers = {name.lower(): value for name, value in entry["headers"].items()}
            target, _, operation = headers.get("x-amz-target", "").partition(".")
            service = SERVICES.get(target.partition("_")[0])
            # A role of another account has a key that is no number.
            signed = re.search(r"Credential=\d+/\d+/([^/]+)/", headers.get("authorization", ""))
            if service and signed and "rust" in headers.get("user-agent", ""):
                body = base64.b64decode(entry["body"]) if entry["body_encoded"] else entry["body"]
                region = signed[1]
                found.append(Call(service, operation, self.account, region, json.loads(body or "{}")))
        return found

    def _recorded(self) -> Iterator[dict]:
        """Each request. Moto writes them from many threads, so two may stand in one line, with an empty one behind."""
        decoder = json.JSONDecoder()
        for line in self.record.read_text().splitlines():
            at = 0
            while at < len(line):
                entry, at = decoder.raw_decode(line, at)
                yield entry


class WholeMoto(Moto):
    """Moto with what Terraform's provider needs beside."""

    name = "whole-moto"
    server = [sys.executable, str(Path(__file__).with_name("whole_moto.py"))]


class World:
    """Our simulated ECS, one per story: what it was asked is the story's alone, and so are its faults."""

    def __init__(self, folder: Path, account: str, speed: float):
        binary = Path(os.environ["LOCKKEEPER_BIN"]).parent / "examples" / "world"
        log = folder / "world.log"
        command = [str(binary), "--listen", "127.0.0.1:0", "--no-throttle", "--speed", str(speed), "--account", account]
        self.process = processes.start(command, log, cwd=folder)
        self.url = processes.until("the world says its address", lambda: log.read_text().strip(), 20)
        self._seen = 0

    def calls(self) -> list[dict]:
        """What ECS was asked since `forget`, in order."""
        return [call for call in self._get(f"calls?after={self._seen}") if call["service"] == "ecs"]

    def requests(self) -> list[Call]:
        """What was asked of all services, by the story as well, in order."""
        names = ("service", "operation", "account", "region", "request")
        return [Call(*(it[name] for name in names)) for it in self._get("calls?after=0")]

    def forget(self) -> None:
        """Forgets the calls until now: they were the story's own."""
        calls = self._get(f"calls?after={self._seen}")
        self._seen = calls[-1]["sequence"] if calls else self._seen

    def push(self, repository: str, tags: list[str], region: str, digest: str | None = None) -> str:
        """Pushes an image under these tags, a new one unless its digest is given, and says its digest."""
        body = {"repository": repository, "tags": tags, "region": region, "digest": digest}
        return self._post("push", body)["digest"]

    def fault(self, operation: str, kind: object, count: int = 1, **only: str) -> None:
        """Lets the next calls of an operation go wrong: of all, or only in a `region`, or those that mention a text."""
        self._post("faults", {"service": "ecs", "operation": operation, "kind": kind, "count": count, **only})

    def heal(self) -> None:
        """Takes all faults back."""
        request = urllib.request.Request(f"{self.url}/_sim/faults", method="DELETE")
        urllib.request.urlopen(request, timeout=5).close()

    def dials(self, **ecs: float) -> None:
        """Sets how long things take in ECS, in milliseconds before the speed."""
        self._post("settings", {"ecs": ecs})

    def _get(self, path: str) -> list[dict]:
        status, body = processes.fetch(f"{self.url}/_sim/{path}")
        assert status == 200, f"the world answers {status}: {body}"
        return json.loads(body)

    def _post(self, path: str, body: object) -> dict:
        request = urllib.request.Request(
            f"{self.url}/_sim/{path}", json.dumps(body).encode(), {"content-type": "application/json"}
        )
        with urllib.request.urlopen(request, timeout=5) as answer:
            return json.loads(answer.read() or b"{}")


def has_ministack() -> bool:
    """Whether ministack is installed."""
    if not Ministack.python.exists():
        return False
    check = [str(Ministack.python), "-c", "import ministack"]
    return subprocess.run(check, capture_output=True, check=False).returncode == 0
