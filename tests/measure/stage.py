"""The simulated world and the product as processes, and calls to the world without an SDK's own cost."""

import http.client
import json
import os
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from datetime import datetime
from pathlib import Path

ACCOUNT = "000000000000"
REGION = "eu-west-1"
CLUSTER = "shop"
REGISTRY = f"{ACCOUNT}.dkr.ecr.{REGION}.amazonaws.com"
PREFIXES = {"sqs": "AmazonSQS", "ecs": "AmazonEC2ContainerServiceV20141113"}
ENVIRONMENT = {
    "PATH": os.environ["PATH"],
    "AWS_REGION": REGION,
    "AWS_DEFAULT_REGION": REGION,
    "AWS_ACCESS_KEY_ID": ACCOUNT,
    "AWS_SECRET_ACCESS_KEY": "x",
    "AWS_EC2_METADATA_DISABLED": "true",
}


def until(what: str, probe: Callable, pause: float, seconds: float = 30.0):
    """Asks again and again until the answer is true, and gives it back."""
    end = time.monotonic() + seconds
    while not (answer := probe()):
        assert time.monotonic() < end, f"not within {seconds:g} s: {what}"
        time.sleep(pause)
    return answer


def milliseconds(text: str) -> float:
    """A time in RFC 3339, since the epoch."""
    return datetime.fromisoformat(text).timestamp() * 1000


class World:
    """A simulated AWS, where nothing takes longer than its calls."""

    def __init__(self, binary: str):
        command = [binary, "--listen", "127.0.0.1:0", "--no-throttle"]
        self.process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        self.url = self.process.stdout.readline().strip()
        self._connection = http.client.HTTPConnection(self.url.removeprefix("http://"))
        self.control("POST", "/_sim/settings", {"ecs": {"start_ms": 1, "settle_ms": 1, "drain_ms": 1}})

    def control(self, method: str, path: str, body: object = None):
        """A request to the world itself."""
        return self._request(method, path, {"content-type": "application/json"}, body)

    def call(self, api: str, operation: str, **body):
        """A call of an API, as an SDK would send it."""
        scope = f"{ACCOUNT}/20261101/{REGION}/{api}/aws4_request"
        headers = {
            "content-type": "application/x-amz-json-1.1",
            "x-amz-target": f"{PREFIXES[api]}.{operation}",
            "authorization": f"AWS4-HMAC-SHA256 Credential={scope}, SignedHeaders=host, Signature=x",
        }
        return self._request("POST", "/", headers, body)

    def log(self, after: int) -> list[dict]:
        """The calls that came after this one."""
        return self.control("GET", f"/_sim/calls?after={after}")

    def last(self) -> int:
        """The number of the last call."""
        return max((line["sequence"] for line in self.log(0)), default=0)

    def queues(self) -> str:
        """Makes the queue of events and its dead-letter queue."""
        dead = f"arn:aws:sqs:{REGION}:{ACCOUNT}:dead"
        self.call("sqs", "CreateQueue", QueueName="dead")
        policy = json.dumps({"deadLetterTargetArn": dead, "maxReceiveCount": 100})
        made = self.call("sqs", "CreateQueue", QueueName="events", Attributes={"RedrivePolicy": policy})
        self.queue = made["QueueUrl"]
        return self.queue

    def services(self, names: list[str]) -> None:
        """Makes services of one task each."""
        self.call("ecs", "CreateCluster", clusterName=CLUSTER)
        for name in names:
            container = {"name": "web", "image": f"{REGISTRY}/{name}:v0", "essential": True}
            self.call("ecs", "RegisterTaskDefinition", family=name, containerDefinitions=[container])
            self.call("ecs", "CreateService", cluster=CLUSTER, serviceName=name, taskDefinition=name, desiredCount=1)

    def push(self, repository: str, tag: str) -> dict:
        """Pushes an image, and gives the event that ECR would send."""
        pushed = self.control("POST", "/_sim/push", {"repository": repository, "tags": [tag], "region": REGION})
        detail = {"repository-name": repository, "image-tag": tag, "image-digest": pushed["digest"]}
        detail |= {"result": "SUCCESS", "action-type": "PUSH"}
        return {
            "version": "0",
            "id": f"{repository}-{tag}",
            "detail-type": "ECR Image Action",
            "source": "aws.ecr",
            "account": ACCOUNT,
            "region": REGION,
            "time": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
            "resources": [],
            "detail": detail,
        }

    def send(self, event: dict) -> None:
        """Puts an event on the queue."""
        self.call("sqs", "SendMessage", QueueUrl=self.queue, MessageBody=json.dumps(event))

    def _request(self, method: str, path: str, headers: dict, body: object):
        self._connection.request(method, path, json.dumps(body) if body is not None else None, headers)
        answer = self._connection.getresponse()
        text = answer.read()
        assert answer.status < 300, f"{method} {path}: {answer.status} {text[:500]}"
        return json.loads(text) if text else None


class Daemon:
    """One `lockkeeper run`, with these services as targets."""

    def __init__(self, binary: str, world: World, names: list[str], port: int, folder: Path):
        settings = folder / "settings.toml"
        settings.write_text(
            f'[engine]\nstart_delay = "0s"\n[queue]\nurl = "{world.queue}"\npollers = 2\n'
            f'[http]\nlisten = "127.0.0.1:{port}"\nreads_per_second = 100000\n[defaults]\nquiet = "0s"\non_push = "pin"\n'
            + "".join(
                f'[[target]]\nname = "{name}"\ncluster = "{CLUSTER}"\nservice = "{name}"\nrepositories = ["{name}"]\n'
                for name in names
            )
        )
        self.port = port
        began = time.monotonic()
        with (folder / "daemon.log").open("ab") as log:
            self.process = subprocess.Popen(
                [binary, "--config", str(settings), "run"],
                env=ENVIRONMENT | {"AWS_ENDPOINT_URL": world.url},
                cwd=folder,
                stdout=log,
                stderr=log,
            )
        until("the daemon is ready", lambda: self.get("/readyz")[0] == 200, 0.001)
        self.ready_ms = (time.monotonic() - began) * 1000

    def get(self, path: str) -> tuple[int, bytes]:
        """Status and body of a GET; 0 if nobody answers."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=5)
        try:
            connection.request("GET", path)
            answer = connection.getresponse()
            return answer.status, answer.read()
        except OSError:
            return 0, b""
        finally:
            connection.close()

    def deployments(self, target: str) -> list[dict]:
        """What it tells of a target's deployments, newest first."""
        return json.loads(self.get(f"/api/v1/deployments?target={target}&limit=200")[1])["items"]

    def cpu_ms(self) -> float:
        """The processor time that it has used."""
        fields = Path(f"/proc/{self.process.pid}/stat").read_text().rsplit(")", 1)[1].split()
        return (int(fields[11]) + int(fields[12])) * 1000 / os.sysconf("SC_CLK_TCK")

    def resident_mib(self) -> float:
        """The memory that it holds."""
        status = Path(f"/proc/{self.process.pid}/status").read_text()
        return int(status.split("VmRSS:")[1].split()[0]) / 1024

    def stop(self) -> None:
        """Ends it in good order."""
        self.process.terminate()
        self.process.wait(15)


def say(what: str, figures: str) -> None:
    """One line of the result."""
    sys.stdout.write(f"{what}: {figures}\n")
    sys.stdout.flush()


def free_port() -> int:
    """A port that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]
