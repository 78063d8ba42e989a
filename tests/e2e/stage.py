"""What one story plays on: an account, queues, a bus with rules, services, and the product."""

import itertools
import json
import os
import re
import subprocess
import sys
import threading
from datetime import datetime, timezone
from pathlib import Path
from urllib.parse import urlsplit

import boto3
from botocore.config import Config

import permitted
import processes
from daemon import Daemon, Tool
from emulators import World
from events import Event
from processes import until

REGION = "eu-west-1"

# What would change something in ECS.
CHANGING = {
    "CreateService",
    "DeleteService",
    "DeregisterTaskDefinition",
    "RegisterTaskDefinition",
    "RunTask",
    "StopServiceDeployment",
    "StopTask",
    "TagResource",
    "UntagResource",
    "UpdateService",
}

_session = boto3.Session()
_making_clients = threading.Lock()
_numbers = itertools.count(1)


class Service:
    """An ECS service as the story sees it."""

    def __init__(self, stage: "Stage", cluster: str, name: str):
        self.stage, self.cluster, self.name = stage, cluster, name

    def describe(self) -> dict:
        """DescribeServices."""
        return self.stage.ecs.describe_services(cluster=self.cluster, services=[self.name])["services"][0]

    def primary(self) -> dict:
        """The deployment that ECS moves towards."""
        return next(it for it in self.describe()["deployments"] if it["status"] == "PRIMARY")

    def revision(self) -> str:
        """`family:revision` of what is rolled out."""
        return short(self.primary()["taskDefinition"])

    def definition(self) -> dict:
        """What is rolled out."""
        return self.stage.ecs.describe_task_definition(taskDefinition=self.revision())["taskDefinition"]

    def image(self, container: str = "app") -> str:
        """The image that is rolled out."""
        return next(it["image"] for it in self.definition()["containerDefinitions"] if it["name"] == container)

    def is_steady(self) -> bool:
        """Whether one deployment is left, and complete."""
        deployments = self.describe()["deployments"]
        return [it.get("rolloutState") for it in deployments] == ["COMPLETED"]

    def digests(self) -> set[str]:
        """The digests that its tasks run."""
        tasks = self.stage.ecs.list_tasks(cluster=self.cluster, serviceName=self.name)["taskArns"]
        described = self.stage.ecs.describe_tasks(cluster=self.cluster, tasks=tasks)["tasks"] if tasks else []
        return {it["imageDigest"] for task in described for it in task["containers"] if "imageDigest" in it}

    def rollouts(self) -> list[dict]:
        """Its service deployments, oldest first, without the one that made it."""
        listed = self.stage.ecs.list_service_deployments(cluster=self.cluster, service=self.name)["serviceDeployments"]
        return sorted(listed, key=lambda it: it["createdAt"])[1:]


class Stage:
    """Everything that one story has. Stories share emulators, but no name and no account."""

    def __init__(self, emulator, folder: Path, *, speed: float = 5.0):
        number = next(_numbers)
        self.emulator, self.folder, self.speed = emulator, folder, speed
        self.cluster = f"shop-{number:03}"
        # What stands in each of this story's calls, and in no other story's.
        self.mark = self.cluster
        # Those that a user would name to the module, beside what the settings name.
        self.clusters = [self.cluster]
        # Moto knows one account; everybody else takes it from the access key.
        self.account = getattr(emulator, "account", f"{200_000_000_000 + number}")
        self.world: World | None = None
        self.endpoints = {"AWS_ENDPOINT_URL": emulator.url}
        self.settings: dict[str, str] = {}
        self.daemons: list[Daemon] = []
        self.pushed: set[tuple[str, str]] = set()
        self.sqs, self.events = self.client("sqs"), self.client("events")

    def with_rollouts(self) -> "Stage":
        """Takes ECS from a world of its own, where rollouts take time and fail."""
        self.world = World(self.folder, self.account, self.speed)
        self.endpoints["AWS_ENDPOINT_URL_ECS"] = self.world.url
        return self

    def client(self, service: str, region: str = REGION):
        """A client of boto3."""
        endpoint = self.endpoints.get(f"AWS_ENDPOINT_URL_{service.upper()}", self.endpoints["AWS_ENDPOINT_URL"])
        config = Config(retries={"max_attempts": 2}, connect_timeout=5, read_timeout=25)
        with _making_clients:
            return _session.client(
                service,
                endpoint_url=endpoint,
                region_name=region,
                aws_access_key_id=self.account,
                aws_secret_access_key="secret",
                config=config,
            )

    # The scene.

    def queues(self, *, redrive: bool = True) -> None:
        """Makes the queue of events, its dead-letter queue, and a bus whose rules bring events to the queue."""
        name = self.cluster
        self.dead_url = self.sqs.create_queue(QueueName=f"{name}-dead")["QueueUrl"]
        attributes = {}
        if redrive:
            policy = {"deadLetterTargetArn": self.arn("sqs", f"{name}-dead"), "maxReceiveCount": 100}
            attributes["RedrivePolicy"] = json.dumps(policy)
        self.queue_url = self.sqs.create_queue(QueueName=name, Attributes=attributes)["QueueUrl"]
        self._bus()

    def _bus(self) -> None:
        """Makes a bus, and the rules that bring its events to the queue."""
        self.bus_name = self.cluster
        self.events.create_event_bus(Name=self.bus_name)
        queue = self.arn("sqs", self.cluster)
        if self.emulator.takes_aws_sources:
            everybody = [{"prefix": "aws."}, {"prefix": "github.actions"}, {"prefix": "action."}]
            self._rule("everybody", {"source": everybody}, {"Id": "queue", "Arn": queue})
            return
        people = [{"prefix": "github.actions"}, {"prefix": "action."}]
        self._rule("people", {"source": people}, {"Id": "queue", "Arn": queue})
        # As AWS does, the emulator lets nobody else send as `aws.*`: the rule makes AWS's event of ours.
        paths = {name: f"$.{name}" for name in ("id", "time", "account", "region", "resources")}
        paths |= {"source": "$.detail.source", "type": "$.detail-type", "body": "$.detail.body"}
        template = (
            '{"version": "0", "id": <id>, "detail-type": <type>, "source": <source>, "account": <account>, '
            '"time": <time>, "region": <region>, "resources": <resources>, "detail": <body>}'
        )
        transformer = {"InputPathsMap": paths, "InputTemplate": template}
        self._rule("aws", {"source": ["as.aws"]}, {"Id": "queue", "Arn": queue, "InputTransformer": transformer})

    def _rule(self, name: str, pattern: dict, target: dict) -> None:
        rule = f"{self.cluster}-{name}"
        self.events.put_rule(Name=rule, EventBusName=self.bus_name, EventPattern=json.dumps(pattern))
        put = self.events.put_targets(Rule=rule, EventBusName=self.bus_name, Targets=[target])
        assert put["FailedEntryCount"] == 0, put

    def rule_of_the_example(self) -> None:
        """The rule of the Terraform example, whose input transformer writes another event as a deploy request."""
        example = Path(__file__).parents[2] / "deploy/terraform/examples/pipeline-event"
        transformer = {
            "InputPathsMap": json.loads((example / "paths.json").read_text()),
            "InputTemplate": (example / "request.json").read_text(),
        }
        detail = {"pipelineName": ["acme-reports"], "metadata": {"gitCommit": [{"exists": True}]}}
        pattern = {"source": ["com.amazon.smus.cicd"], "detail": detail}
        queue = self.arn("sqs", self.cluster)
        self._rule("example", pattern, {"Id": "queue", "Arn": queue, "InputTransformer": transformer})

    def arn(self, service: str, resource: str) -> str:
        """The ARN of something of ours."""
        return f"arn:aws:{service}:{REGION}:{self.account}:{resource}"

    def image(self, repository: str, tag: str) -> str:
        """A reference to an image in our registry."""
        return f"{self.account}.dkr.ecr.{REGION}.amazonaws.com/{repository}:{tag}"

    def push(self, repository: str, *tags: str, digest: str | None = None) -> str:
        """Puts an image into the registry, without telling anybody: a new one, or this. Says its digest."""
        assert self.world, "only the world has a registry whose images tasks run"
        self.pushed |= {(repository, tag) for tag in tags}
        return self.world.push(repository, list(tags), REGION, digest)

    def service(
        self,
        name: str = "api",
        *,
        image: str | None = None,
        cluster: str | None = None,
        breaker: str | None = "rollback",
        desired: int = 1,
        definition: dict | None = None,
        revisions: int = 1,
        runs: int = 1,
    ) -> Service:
        """Makes a service that runs one of the revisions of its family, and waits until it does. Its breaker rolls
        back, or only stops (`"stop"`), or there is none."""
        cluster = cluster or self.cluster
        self.clusters.append(cluster)
        family = f"{cluster}-{name}" if cluster == self.cluster else name
        image = image or self.image(name, "latest")
        document = definition or {"containerDefinitions": [{"name": "app", "image": image, "memory": 128}]}
        self.push_what_runs(document)
        self.ecs = self.client("ecs")
        self.ecs.create_cluster(clusterName=cluster)
        for _ in range(revisions):
            self.register(family, document)
        configuration = {}
        if breaker:
            configuration["deploymentCircuitBreaker"] = {"enable": True, "rollback": breaker == "rollback"}
        self.ecs.create_service(
            cluster=cluster,
            serviceName=name,
            taskDefinition=f"{family}:{runs}",
            desiredCount=desired,
            deploymentConfiguration=configuration,
        )
        service = Service(self, cluster, name)
        until(f"{name} is steady", service.is_steady)
        self.forget()
        return service

    def push_what_runs(self, document: dict) -> None:
        """Puts the images of a definition that are ours into the registry, where they are not there yet."""
        for container in document["containerDefinitions"]:
            registry, _, name = container["image"].partition("/")
            repository, _, tag = name.partition(":")
            if self.world and registry == self.image("", "").partition("/")[0] and (repository, tag) not in self.pushed:
                self.push(repository, tag)

    def register(self, family: str, document: dict) -> None:
        """Registers a revision, with every field of the document, whether boto3 knows it or not."""
        known = {"family": family, "containerDefinitions": [{"name": "app", "image": "placeholder", "memory": 128}]}

        def replace(params: dict, **_: object) -> None:
            params["body"] = json.dumps({"family": family, **document}).encode()

        ecs = self.client("ecs")
        ecs.meta.events.register("before-call.ecs.RegisterTaskDefinition", replace)
        ecs.register_task_definition(**known)

    def forget(self) -> None:
        """Forgets what ECS was asked: it was the story that asked."""
        if self.world:
            self.world.forget()

    # The product.

    def target(self, service: str = "api", *, name: str | None = None, **settings: object) -> str:
        """A `[[target]]`: gathers for a short time only, unless said otherwise."""
        settings = {"repositories": [service], "quiet": "200ms", **settings}
        lines = ["[[target]]", f'name = "{name or service}"', f'cluster = "{self.cluster}"', f'service = "{service}"']
        triggers = settings.pop("triggers", None)
        lines += [f"{key} = {json.dumps(value)}" for key, value in settings.items()]
        if triggers:
            lines += ["[target.triggers]", *(f"{key} = {json.dumps(value)}" for key, value in triggers.items())]
        return "\n".join(lines) + "\n"

    def environment(self) -> dict[str, str]:
        """What the product's process has in its environment."""
        return {
            "PATH": os.environ["PATH"],
            "HOME": str(self.folder),
            "AWS_REGION": REGION,
            "AWS_ACCESS_KEY_ID": self.account,
            "AWS_SECRET_ACCESS_KEY": "secret",
            "AWS_EC2_METADATA_DISABLED": "true",
            **self.endpoints,
        }

    def launch(
        self,
        *targets: str,
        environment: dict[str, str] | None = None,
        without: str | None = None,
        url: str | None = None,
    ) -> Daemon:
        """Starts the product without waiting for it: with more in its environment, without a variable, for a queue."""
        name = f"daemon-{len(self.daemons) + 1}"
        settings = self._settings(name, targets, url)
        environment = {**self.environment(), **(environment or {})}
        environment.pop(without, None)
        daemon = Daemon(self.folder, settings, environment, name)
        self.daemons.append(daemon)
        return daemon

    def tool(self, *targets: str, environment: dict[str, str] | None = None) -> Tool:
        """The product's commands, without a daemon."""
        settings = self._settings("tool", targets, None)
        return Tool(self.folder, settings, {**self.environment(), **(environment or {})})

    def _settings(self, name: str, targets: tuple[str, ...], url: str | None) -> Path:
        settings = self.folder / f"{name}.toml"
        head = (
            f'[queue]\nurl = "{url or self.queue_url}"\nvisibility = "30s"\n'
            '[engine]\nstart_delay = "0s"\n[log]\nlevel = "debug"\nformat = "json"\n'
        )
        settings.write_text("\n".join([head, *targets]))
        return settings

    def run(self, *targets: str, environment: dict[str, str] | None = None) -> Daemon:
        """Starts the product, and waits until it receives."""
        daemon = self.launch(*targets, environment=environment)
        daemon.wait_until_ready()
        return daemon

    # What happens.

    def put(self, *events: Event) -> None:
        """Puts events on the bus."""
        entries = [self._entry(event) for event in events]
        for start in range(0, len(entries), 10):
            answer = self.events.put_events(Entries=entries[start : start + 10])
            assert answer["FailedEntryCount"] == 0, answer

    def put_by_cli(self, *events: Event) -> None:
        """Puts events on the bus as a person or a script does."""
        aws = Path(sys.executable).with_name("aws")
        entries = json.dumps([self._entry(event) for event in events])
        command = [str(aws), "events", "put-events", "--entries", entries, "--output", "json"]
        environment = {**self.environment(), "AWS_DEFAULT_REGION": REGION}
        done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False, timeout=60)
        assert done.returncode == 0, done.stderr
        assert json.loads(done.stdout)["FailedEntryCount"] == 0, done.stdout

    def _entry(self, event: Event) -> dict:
        source, detail = event.source, event.detail
        if source.startswith("aws.") and not self.emulator.takes_aws_sources:
            source, detail = "as.aws", {"source": source, "body": detail}
        return {
            "Source": source,
            "DetailType": event.detail_type,
            "Detail": json.dumps(detail),
            "EventBusName": self.bus_name,
        }

    def body(self, event: Event, identity: str) -> str:
        """A message as a rule makes it of an event, with an id of one's choice."""
        now = datetime.now(timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ")
        return json.dumps(
            {
                "version": "0",
                "id": identity,
                "detail-type": event.detail_type,
                "source": event.source,
                "account": self.account,
                "time": now,
                "region": REGION,
                "resources": [],
                "detail": event.detail,
            }
        )

    def send(self, body: str) -> None:
        """Sends a message past the bus."""
        self.sqs.send_message(QueueUrl=self.queue_url, MessageBody=body)

    # What came of it.

    def calls(self, *operations: str) -> list[dict]:
        """What the product asked of ECS: the requests of these operations, in order."""
        if self.world:
            calls = self.world.calls()
        else:
            calls = [call for call in self.emulator.calls() if self.mark in json.dumps(call["request"])]
        return [call for call in calls if call["operation"] in operations]

    def updates(self) -> list[dict]:
        """The requests of UpdateService."""
        return [call["request"] for call in self.calls("UpdateService")]

    def registered(self) -> list[dict]:
        """The requests of RegisterTaskDefinition."""
        return [call["request"] for call in self.calls("RegisterTaskDefinition")]

    def finished(self, daemon: Daemon, count: int = 1, seconds: float = 40.0, **filters: str) -> list[dict]:
        """Waits until this many deployments have ended, and gives them, oldest first."""

        def probe() -> list[dict]:
            ended = [it for it in daemon.deployments(**filters) if it["outcome"]]
            return ended if len(ended) >= count else []

        ended = until(f"{count} deployments have ended", probe, seconds)
        return sorted(ended, key=lambda it: it["finished_at"])

    def rest(self, daemon: Daemon, seconds: float = 40.0) -> None:
        """Waits until nothing is left to do: no message in the queue, none held, and all lanes idle."""

        def probe() -> bool:
            return self.messages() == 0 and all(it["lane"]["state"] == "idle" for it in daemon.targets())

        until("the queue is empty and all lanes are idle", probe, seconds)

    def messages(self) -> int:
        """How many messages the queue has, in whatever state."""
        names = [f"ApproximateNumberOfMessages{state}" for state in ("", "NotVisible", "Delayed")]
        answer = self.sqs.get_queue_attributes(QueueUrl=self.queue_url, AttributeNames=names)
        return sum(int(count) for count in answer["Attributes"].values())

    def handled(self, daemon: Daemon, count: int, seconds: float = 40.0, **labels: str) -> None:
        """Waits until this many messages were deleted with these labels."""
        metric = "lockkeeper_events_total"
        until(f"{count} of {metric}{labels}", lambda: daemon.metric(metric, **labels) >= count, seconds)

    def dead_letters(self, count: int = 1) -> list[dict]:
        """Waits until this many messages are set aside, and gives each: its body, and its attributes by short name."""
        letters: dict[str, dict] = {}

        def probe() -> bool:
            received = self.sqs.receive_message(
                QueueUrl=self.dead_url, MaxNumberOfMessages=10, MessageAttributeNames=["All"], VisibilityTimeout=600
            )
            for message in received.get("Messages", []):
                attributes = message.get("MessageAttributes", {})
                values = {name.removeprefix("lockkeeper."): it["StringValue"] for name, it in attributes.items()}
                letters[message["MessageId"]] = {"body": message["Body"], **values}
            return len(letters) >= count

        until(f"{count} messages are set aside", probe)
        return list(letters.values())

    def no_dead_letters(self) -> bool:
        """Whether nothing is set aside."""
        return self.set_aside() == (0, 0)

    def set_aside(self) -> tuple[int, int]:
        """How many messages are set aside: those that can be received, and those that somebody holds."""
        names = ["ApproximateNumberOfMessages", "ApproximateNumberOfMessagesNotVisible"]
        answer = self.sqs.get_queue_attributes(QueueUrl=self.dead_url, AttributeNames=names)
        visible, held = (int(answer["Attributes"][name]) for name in names)
        return visible, held

    def refused(self) -> list[str]:
        """Which calls to ECS, in any account, the module's statements for this story would not allow."""
        if not self.world or self.world.process.poll() is not None:
            return []
        # The story calls as well: what no daemon does is not looked at.
        actions = permitted.called([line for daemon in self.daemons for line in daemon.logs()])
        asked = [it for it in self.world.requests() if it.service == "ecs" and it.action in actions]
        written = "\n".join(it.read_text() for it in self.folder.glob("*.toml"))
        lists = re.findall(r"^(?:clusters?|regions?) = (.*)$", written, re.MULTILINE)
        named = list(dict.fromkeys(it for line in lists for it in re.findall(r'"([^"*]+)"', line)))
        regions = [it for it in named if re.fullmatch(r"[a-z]{2}-[a-z]+-\d", it)]
        clusters = list(dict.fromkeys([*self.clusters, *(it for it in named if it not in regions)]))
        found = []
        for account in sorted({it.account for it in asked}):
            granted = permitted.statements(account, [REGION, *(it for it in regions if it != REGION)], clusters)
            found += permitted.refused([it for it in asked if it.account == account], granted)
        return found

    def close(self) -> None:
        """Ends what was started."""
        for daemon in self.daemons:
            processes.kill(daemon.process)
        if self.world:
            processes.kill(self.world.process)

    def check_promises(self) -> None:
        """What holds at the end of every story, in each process that is still there."""
        for daemon in self.daemons:
            assert "panicked" not in daemon.text(), "the daemon panicked"
            if daemon.process.poll() is None:
                assert daemon.status("/livez") == 200, "the loop does not turn"
                broken = daemon.metric("lockkeeper_promise_violations_total")
                assert broken == 0, f"{broken:g} promises were broken"

    def traces(self) -> str:
        """What helps to understand a failure."""
        parts = []
        for daemon in self.daemons:
            parts.append(f"--- {daemon.log_file}\n{_tail(daemon.text())}")
        calls = self.calls(*CHANGING) if self.world and self.world.process.poll() is None else []
        parts += [f"--- changing calls\n{json.dumps(calls, indent=1)[:4000]}"] if calls else []
        return "\n".join(parts)

    def port_of(self, url: str) -> tuple[str, int]:
        """Host and port of a URL."""
        parts = urlsplit(url)
        return parts.hostname or "", parts.port or 80


def short(arn: str) -> str:
    """`family:revision` of an ARN."""
    return arn.rsplit("/", 1)[-1]


def _tail(text: str) -> str:
    lines = [line[:600] for line in text.splitlines() if '"body"' not in line]
    return "\n".join(lines[-25:])
