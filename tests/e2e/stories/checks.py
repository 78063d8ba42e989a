"""`lockkeeper check` on moto: it finds what is missing, says what to do about it, and changes nothing."""

import json

from daemon import Tool
from stage import CHANGING, Stage

BUCKET = "shop-check"
FORTNIGHT = "1209600"


def _estate(stage: Stage, *, things: bool = True) -> str:
    """A service with everything that it reads, or nothing of it, and rules that bring what it waits for. Says what the
    settings are."""
    stage.queues()
    stage.sqs.set_queue_attributes(QueueUrl=stage.dead_url, Attributes={"MessageRetentionPeriod": FORTNIGHT})
    _let_rules_send(stage)
    name = stage.cluster
    # What AWS's services tell arrives on the default bus, and nowhere else. All stories share it.
    ours = {
        "ecr": {"repository-name": [{"prefix": f"{name}/"}]},
        "ssm": {"name": [{"prefix": f"/{name}/"}]},
        "s3": {"bucket": {"name": [f"{BUCKET}-{name}"]}},
    }
    for kind, detail in ours.items():
        rule = f"{name}-aws-{kind}"
        stage.events.put_rule(Name=rule, EventPattern=json.dumps({"source": [f"aws.{kind}"], "detail": detail}))
        dead = {"Arn": stage.arn("sqs", f"{name}-dead")}
        target = {"Id": "queue", "Arn": stage.arn("sqs", name), "DeadLetterConfig": dead}
        stage.events.put_targets(Rule=rule, Targets=[target])
    if things:
        _things(stage)
    container = {
        "name": "app",
        "image": stage.image(f"{name}/api", "v1"),
        "memory": 128,
        "secrets": [{"name": "KEY", "valueFrom": f"/{name}/KEY"}],
        "environmentFiles": [{"type": "s3", "value": f"arn:aws:s3:::{BUCKET}-{name}/api.env"}],
    }
    stage.service(definition={"containerDefinitions": [container]}, breaker=None)
    return f'[discovery]\nclusters = ["{name}"]\n'


def _things(stage: Stage) -> None:
    """An image, a parameter, and a file in a bucket. Once that tells EventBridge, nothing is written to it: moto would tell
    the rules of all stories, whatever their patterns are."""
    name = stage.cluster
    ecr = stage.client("ecr")
    ecr.create_repository(repositoryName=f"{name}/api")
    layer = {"digest": "sha256:" + "c" * 64, "size": 1, "mediaType": "application/vnd.oci.image.layer.v1.tar"}
    manifest = {"schemaVersion": 2, "config": layer, "layers": [layer], "name": name}
    kind = "application/vnd.oci.image.manifest.v1+json"
    ecr.put_image(
        repositoryName=f"{name}/api", imageManifest=json.dumps(manifest), imageTag="v1", imageManifestMediaType=kind
    )
    stage.client("ssm").put_parameter(Name=f"/{name}/KEY", Value="x", Type="String")
    bucket = f"{BUCKET}-{name}"
    s3 = stage.client("s3")
    s3.create_bucket(Bucket=bucket, CreateBucketConfiguration={"LocationConstraint": "eu-west-1"})
    s3.put_object(Bucket=bucket, Key="api.env", Body=b"A=b")
    s3.put_bucket_notification_configuration(
        Bucket=bucket, NotificationConfiguration={"EventBridgeConfiguration": {}}
    )


def _let_rules_send(stage: Stage) -> None:
    arn = stage.arn("sqs", stage.cluster)
    statement = {
        "Effect": "Allow",
        "Principal": {"Service": "events.amazonaws.com"},
        "Action": "sqs:SendMessage",
        "Resource": arn,
        "Condition": {"ArnLike": {"aws:SourceArn": stage.arn("events", "rule/*")}},
    }
    policy = json.dumps({"Version": "2012-10-17", "Statement": [statement]})
    stage.sqs.set_queue_attributes(QueueUrl=stage.queue_url, Attributes={"Policy": policy})


def _check(tool: Tool, code: int) -> list[dict]:
    """What it finds, after it ended with this code."""
    return tool.answer("check", code=code)["findings"]


def _lines(findings: list[dict], level: str) -> list[str]:
    return [f"{it['target'] or it['about']}: {it['what']}" for it in findings if it["level"] == level]


def a_check_of_a_whole_estate_finds_no_error_and_changes_nothing(stage: Stage) -> None:
    settings = _estate(stage)
    messages = stage.messages()
    findings = _check(stage.tool(settings), 0)
    assert _lines(findings, "error") == [], findings
    told = "\n".join(_lines(findings, "ok"))
    assert "finds 1 service in " in told and "a rule lets through each of 3 events that targets wait for" in told, told
    assert not stage.calls(*CHANGING - {"UpdateService"}), stage.calls(*CHANGING)
    assert stage.messages() == messages and stage.no_dead_letters()


def a_check_names_what_is_missing_and_ends_in_failure(stage: Stage) -> None:
    settings = _estate(stage, things=False)
    name = stage.cluster
    stage.events.disable_rule(Name=f"{name}-aws-ssm")
    stage.sqs.set_queue_attributes(QueueUrl=stage.queue_url, Attributes={"Policy": ""})
    redrive = {"deadLetterTargetArn": stage.arn("sqs", f"{name}-dead"), "maxReceiveCount": 3}
    stage.sqs.set_queue_attributes(QueueUrl=stage.queue_url, Attributes={"RedrivePolicy": json.dumps(redrive)})
    findings = _check(stage.tool(settings), 1)
    errors, warnings = "\n".join(_lines(findings, "error")), "\n".join(_lines(findings, "warning"))
    for missing in (f"image {name}/api:v1", f"parameter /{name}/KEY", f"file s3://{BUCKET}-{name}/api.env"):
        assert f"api: {missing}" in errors, errors
    assert f"its policy does not let the rule {name}-aws-ecr send" in errors, errors
    assert f"the rule {name}-aws-ssm is switched off" in warnings, warnings
    assert f"a change of parameter /{name}/KEY would never reach the queue" in warnings, warnings
    assert "maxReceiveCount is 3" in warnings, warnings
