"""`lockkeeper check --role` with the permissions that the Terraform module grants: they suffice, and nothing of them is missed
without a word. What IAM would answer is said by the evaluator that recorded calls are held against."""

import json

import permitted
from iam import Iam
from stage import REGION, Stage
from stories.checks import BUCKET, _let_rules_send, _things

# What is not asked about: marks suffice for new definitions that have no tags of their own.
UNASKED = {"TagNewDefinitions"}
REGISTERING = {"RegisterDefinitions", "TagNewDefinitions", "PassRolesOfDefinitions"}


def _scene(stage: Stage) -> tuple[str, list[dict]]:
    """Services with a role and with all that tasks read, and what they are found by; and what the module grants for them."""
    stage.queues()
    stage.sqs.set_queue_attributes(QueueUrl=stage.dead_url, Attributes={"MessageRetentionPeriod": "1209600"})
    _let_rules_send(stage)
    name = stage.cluster
    _things(stage)
    secret = stage.client("secretsmanager").create_secret(Name=f"{name}/db", SecretString="x")["ARN"]
    for service, valued in (("api", secret[:-7]), ("jobs", secret)):
        container = {
            "name": "app",
            "image": stage.image(f"{name}/api", "v1"),
            "memory": 128,
            "secrets": [{"name": "KEY", "valueFrom": f"/{name}/KEY"}, {"name": "DB", "valueFrom": valued}],
            "environmentFiles": [{"type": "s3", "value": f"arn:aws:s3:::{BUCKET}-{name}/api.env"}],
        }
        role = f"arn:aws:iam::{stage.account}:role/shop-{service}"
        stage.service(service, definition={"executionRoleArn": role, "containerDefinitions": [container]})
    told = f'[notify.eventbridge]\nenabled = true\nbus = "ops"\n[notify.sns]\ntopic = "{stage.arn("sns", "ops")}"\n'
    return f'[discovery]\nclusters = ["{name}"]\n{told}', [*_of_the_daemon(stage), *_of_the_module(stage)]


def _of_the_module(stage: Stage) -> list[dict]:
    granted = permitted.statements(stage.account, [REGION], [stage.cluster])
    # The story's bucket is called otherwise than those that the statements are rendered for.
    return json.loads(json.dumps(granted).replace("arn:aws:s3:::shop-*", f"arn:aws:s3:::{BUCKET}-*"))


def _of_the_daemon(stage: Stage) -> list[dict]:
    """Of the daemon's own account: rendered with a provider only, and held where the module is applied."""
    queues = [stage.arn("sqs", stage.cluster), stage.arn("sqs", f"{stage.cluster}-dead")]
    bus, topic = [stage.arn("events", "event-bus/ops")], [stage.arn("sns", "ops")]
    return [
        {"Sid": "Queues", "Effect": "Allow", "Action": ["sqs:*"], "Resource": queues},
        {"Sid": "TellABus", "Effect": "Allow", "Action": ["events:PutEvents"], "Resource": bus},
        {"Sid": "TellATopic", "Effect": "Allow", "Action": ["sns:Publish"], "Resource": topic},
    ]


def _check(stage: Stage, settings: str, granted: list[dict], code: int) -> list[tuple[str, str]]:
    """What is found of permissions: level and line."""
    role = f"arn:aws:iam::{stage.account}:role/lockkeeper-task"
    iam = Iam(role, granted)
    try:
        tool = stage.tool(settings, environment={"AWS_ENDPOINT_URL_IAM": iam.url})
        findings = tool.answer("check", "--role", role, code=code)["findings"]
    finally:
        iam.close()
    return [(it["level"], it["what"]) for it in findings if it["about"] == "permissions"]


def what_the_module_grants_suffices_and_each_piece_of_it_is_missed(stage: Stage) -> None:
    settings, granted = _scene(stage)
    ((level, what),) = _check(stage, settings, granted, 0)
    assert level == "ok" and "as SimulatePrincipalPolicy says" in what, what
    for statement in granted:
        if statement["Sid"] in UNASKED:
            continue
        left = [it for it in granted if it is not statement]
        found = _check(stage, settings, left, 1 if statement["Sid"] in _of_errors(granted) else 0)
        missed = {what.split(" on ")[0] for level, what in found if level != "ok"}
        actions = set(statement["Action"])
        assert missed and (missed <= actions or statement["Sid"] == "Queues"), (statement["Sid"], found)


def a_list_of_services_is_asked_for_with_its_cluster(stage: Stage) -> None:
    settings, granted = _scene(stage)
    elsewhere = json.loads(json.dumps(granted))
    for statement in elsewhere:
        if statement["Sid"] == "ListServices":
            statement["Condition"]["ArnEquals"]["ecs:cluster"] = [stage.arn("ecs", "cluster/another")]
    found = _check(stage, settings, elsewhere, 1)
    ((level, what),) = found
    assert level == "error" and what.startswith("ecs:ListServices on * is not allowed"), found


def clusters_found_by_tags_are_all_read(stage: Stage) -> None:
    settings, granted = _scene(stage)
    by_tag = settings.replace("[discovery]", '[discovery]\nexclude = ["tag:team=others"]')
    stage.client("ecs").create_cluster(clusterName=f"{stage.cluster}-beside")
    before = _others(stage)
    found = _check(stage, by_tag, granted, 1)
    after = _others(stage)
    read = [what for level, what in found if level == "error"]
    assert all(it.startswith("ecs:DescribeClusters on ") for it in read), found
    named = {it.split(" on ")[1].split(" is ")[0] for it in read}
    assert before & after <= named <= before | after, (found, before, after)
    every = [{**it, "Resource": ["*"]} if it["Sid"] == "ReadClusters" else it for it in granted]
    ((level, _),) = _check(stage, by_tag, every, 0)
    assert level == "ok"


def what_is_never_rolled_back_needs_no_role(stage: Stage) -> None:
    """Without roles, going back from a moved tag is warned of, a pin is an error, and without `rollback` nothing is said."""
    settings, granted = _scene(stage)
    none = [it for it in granted if it["Sid"] not in REGISTERING]
    registering = {"ecs:RegisterTaskDefinition", "ecs:TagResource", "iam:PassRole"}
    for defaults, level, code in (("", "warning", 0), ('on_push = "pin"\ntags = "semver:*"\n', "error", 1)):
        found = _check(stage, f"[defaults]\n{defaults}{settings}", none, code)
        assert {it[0] for it in found} == {level} and {it[1].split(" on ")[0] for it in found} <= registering, found
        assert {"role/shop-api", "role/shop-jobs"} <= {it[1].split(" is ")[0].rpartition(":")[2] for it in found}, found
    ((level, _),) = _check(stage, f"[defaults]\nrollback = false\n{settings}", none, 0)
    assert level == "ok"


def _of_errors(granted: list[dict]) -> set[str]:
    """The statements without which something fails."""
    lost = {"ReadImages", "ReadTimesOfParameters", "ReadVersionsOfSecrets", "ReadTimesOfFiles"}
    return {it["Sid"] for it in granted} - lost - {"MarkServices", "MarkDefinitions", "TellABus", "TellATopic"} - REGISTERING


def _others(stage: Stage) -> set[str]:
    """The clusters beside one's own: all stories share moto, and make theirs meanwhile."""
    pages = stage.client("ecs").get_paginator("list_clusters").paginate()
    return {it for page in pages for it in page["clusterArns"] if not it.endswith(f"/{stage.cluster}")}
