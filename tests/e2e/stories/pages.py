"""What the pages say to type, typed: from nothing to a rollout as `getting-started` says, then all that operating needs."""

import json
import os
import re
from pathlib import Path

import boto3
import events
import processes
import terraform
from daemon import Daemon
from pages import Block, Reader
from processes import until
from stage import REGION, Stage

TOKEN = "reader-token-0123456789abcdef"
TOKENS = '[[http.tokens]]\nname = "reader"\nrole = "operate"\nenv = "READER_TOKEN"\n'
# In the order in which somebody comes to them: how many blocks of commands each has, and words that they write. What is not here shows
# no commands that can be typed.
OPERATING = {
    "troubleshooting.md": (4, ["ENABLED", '"Result": true', '"FailedEntryCount": 0', "It reaches 1 target", "MessageId"]),
    "runbook.md": (2, [" letter", "RUNS", '"ok": true', "0 errors"]),
    "events.md": (1, ['"FailedEntryCount": 0']),
    "operations.md": (6, ["TableDescription", "would be put back", " letter", "rolled_back, image_pull"]),
    "commands.md": (9, ["It reaches 1 target", "succeeded", "rollback of api", "TARGET", "image_pull"]),
    "routing.md": (1, []),
    "api.md": (1, ['"event_id"']),
    "world.md": (1, ["clusterArns"]),
}
# Those that say themselves how the daemon's settings come into the shell.
BRINGING_SETTINGS = ("troubleshooting.md", "runbook.md")
LETTER = "9f86d081884c7d65"


def what_the_pages_say_to_type_does_what_they_say(stage: Stage) -> None:
    reader = _reader(stage)
    demo = _demo(stage)
    wrote = reader.read("getting-started.md")
    for words in ("repositoryUri", "The settings are sound", "Apply complete!", "permissions", '"FailedEntryCount": 0'):
        assert words in "".join(wrote), (words, wrote)
    daemon = _daemon(stage)
    until("the dry run is told", lambda: daemon.says("was a dry run"))
    assert not stage.updates(), "a dry run changes nothing"
    _for_real(stage, reader, daemon)
    daemon = _daemon(stage)
    stage.put(events.push("shop_api", "latest", stage.push("shop_api", "latest")))
    (deployment,) = stage.finished(daemon)
    assert deployment["outcome"] == "succeeded" and len(stage.updates()) == 1, deployment
    _operate(stage, reader, daemon, demo)


def _reader(stage: Stage) -> Reader:
    """A clone, an account with a network and a service that runs, and a shell."""
    network = stage.client("ec2")
    vpc = network.create_vpc(CidrBlock="10.0.0.0/16")["Vpc"]["VpcId"]
    subnet = network.create_subnet(VpcId=vpc, CidrBlock="10.0.1.0/24")["Subnet"]["SubnetId"]
    # Lockkeeper's own service runs there, too.
    stage.client("ecs").create_cluster(clusterName="shop-dev")
    stage.with_rollouts()
    stage.endpoints["AWS_ENDPOINT_URL_ECR"] = stage.world.url
    for tag in ("1.5", "v1.4.2", "v2"):
        stage.push("shop_api", tag)
    stage.service("api", cluster="shop-dev", image=stage.image("shop_api", "latest"))
    typing = {"TF_CLI_ARGS_init": f"-plugin-dir={terraform.mirror()}", "TF_CLI_ARGS_apply": "-auto-approve"}
    reader = Reader(stage.folder / "clone", {**stage.environment(), **terraform.environment(stage.folder), **typing})
    terraform.copy(reader.folder / "deploy/terraform")
    terraform.override(reader.folder, stage.emulator.url, REGION)
    reader.own = {"vpc-…": vpc, "subnet-…": subnet, "111122223333": stage.account, "shop_service_api": "shop_api"}
    return reader


def _daemon(stage: Stage) -> Daemon:
    """The daemon as the applied task definition would start it, but for the image; and with a token."""
    container = _container(stage)
    variables = {it["name"]: it["value"] for it in container["environment"]}
    stage.bus_name, stage.queue_url = "default", variables.pop("LOCKKEEPER__QUEUE__URL")
    stage.dead_url = stage.sqs.get_queue_url(QueueName="lockkeeper-dead")["QueueUrl"]
    return stage.run(TOKENS, environment={**variables, "READER_TOKEN": TOKEN})


def _container(stage: Stage) -> dict:
    """The container of Lockkeeper's newest definition."""
    keys = {"aws_access_key_id": stage.account, "aws_secret_access_key": "secret"}
    ecs = boto3.client("ecs", endpoint_url=stage.emulator.url, region_name=REGION, **keys)
    (container,) = ecs.describe_task_definition(taskDefinition="lockkeeper")["taskDefinition"]["containerDefinitions"]
    return container


def _for_real(stage: Stage, reader: Reader, daemon: Daemon) -> None:
    """Takes `dry_run` out, and applies."""
    processes.kill(daemon.process)
    settings = reader.folder / "lockkeeper.toml"
    settings.write_text(re.sub("dry_run.*\n", "", settings.read_text()))
    reader.type("terraform apply")
    assert "dry_run" not in json.dumps(_container(stage))


def _demo(stage: Stage) -> Path:
    """What a demo says, which somebody has started beside."""
    said = stage.folder / "demo.log"
    processes.start([os.environ["LOCKKEEPER_BIN"], "demo", "--listen", "127.0.0.1:0"], said, cwd=stage.folder)
    return said


def _operate(stage: Stage, reader: Reader, daemon: Daemon, demo: Path) -> None:
    """The pages of whoever has it running, in a shell that knows where it answers."""
    url = f"http://127.0.0.1:{daemon.port}"
    (reader.folder / "config").mkdir()
    (reader.folder / "config/prod.toml").write_text((reader.folder / "lockkeeper.toml").read_text())
    (reader.folder / "event.json").write_text(stage.body(events.push("shop_api", "latest", "sha256:" + "a" * 64), "read-1"))
    for folder in ("etc/bash_completion.d", "usr/local/share/man/man1"):
        (reader.folder / folder).mkdir(parents=True)
    reader.own |= {
        "localhost:8080": url.removeprefix("http://"),
        "https://lockkeeper.example.com": url,
        "> /": f"> {reader.folder}/",
        "http://127.0.0.1:4566": stage.world.url,
        # The demo has an account of its own.
        "http://127.0.0.1:…": _world_of(demo),
        "AWS_ACCESS_KEY_ID=111122223333": "AWS_ACCESS_KEY_ID=111122223333",
        "$AWS_ENDPOINT_URL/111122223333": "$AWS_ENDPOINT_URL/111122223333",
    }
    # Terraform talks to another emulator than whoever asks ECS.
    stage.register("lockkeeper", {"family": "lockkeeper", "containerDefinitions": [_container(stage)]})
    reader.type(f"LOCKKEEPER__CLIENT__URL={url}; LOCKKEEPER_TOKEN={TOKEN}; DEAD_LETTERS={stage.dead_url}")
    settings = f"LOCKKEEPER__QUEUE__URL={stage.queue_url}; LOCKKEEPER_CONFIG_TOML=$(cat lockkeeper.toml)"

    def before(block: Block) -> None:
        """Somebody who looks at letters has some."""
        if re.search("dead-letters|replay|receive-message", block.text):
            reader.own[LETTER] = _letter(stage, reader)

    for page, (blocks, words) in OPERATING.items():
        reader.type("unset LOCKKEEPER__QUEUE__URL LOCKKEEPER_CONFIG_TOML" if page in BRINGING_SETTINGS else settings)
        wrote = reader.read(page, before)
        assert len(wrote) == blocks, f"{len(wrote)} blocks of {page} were played"
        missing = [it for it in words if it not in "".join(wrote)]
        assert not missing, f"{page}: nothing wrote {missing}: {wrote}"
    # The shell has the Region from its environment, and no profile.
    assert json.loads((reader.folder / "push.json").read_text())["region"] == REGION


def _world_of(demo: Path) -> str:
    """The address that the demo prints, once its story has ended."""
    until("the demo's story has ended", lambda: "Still running" in demo.read_text(), 90)
    return re.search("http://[0-9.]+:[0-9]+", demo.read_text())[0]


def _letter(stage: Stage, reader: Reader) -> str:
    """The id of a letter: there is one again, once its failure was put back or thrown away."""

    def listed() -> list[dict]:
        return json.loads(reader.type("lockkeeper dead-letters --target api --output json"))["letters"]

    if not listed():
        reader.type("lockkeeper resume api")
        stage.put(events.deploy("api", tag="nope"))
    return until("something is set aside", listed, 60)[0]["id"]
