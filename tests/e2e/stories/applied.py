"""The Terraform module really applied: its rules bring events, and the daemon runs on what its task definition says."""

import json

import events
import permitted
import processes
from daemon import Daemon
from iam import Iam
from stage import REGION, Stage, short
from terraform import Terraform

DIGEST = "sha256:" + "a" * 64
ALL = ("-var", "running=true")
# What the emulator forgets: the description of a rule whose source is a security group.
FORGOTTEN = ['module.lockkeeper.aws_vpc_security_group_ingress_rule.http["alb"]']


def the_module_is_applied_and_what_its_rules_bring_is_deployed(stage: Stage) -> None:
    terraform = Terraform("complete", stage.folder, stage.emulator.url, REGION)
    terraform.run("apply", "-auto-approve", *ALL)
    assert terraform.differences(*ALL) == FORGOTTEN
    _jobs(stage)
    daemon = _daemon(stage)
    stage.put(events.push("somebody-elses", "latest", DIGEST), events.parameter("/prod/other/KEY"))
    assert stage.messages() == 0, "the rules let through what nobody asked for"
    for number, (event, target) in enumerate(
        (
            (events.push("shop_api", "latest", DIGEST), "/shop/api"),
            (events.parameter("/prod/shop/api/GREETING"), "/shop/api"),
            (events.label("shop/db"), "/shop/jobs"),
        ),
        1,
    ):
        stage.put(event)
        deployment = stage.finished(daemon, number, seconds=60)[-1]
        assert deployment["outcome"] == "succeeded" and deployment["target"].endswith(target), deployment
    stage.rest(daemon)
    updates = stage.updates()
    assert [short(it["taskDefinition"]) for it in updates] == ["shop_api:1", "shop_api:1", "shop_jobs:1"], updates
    assert stage.no_dead_letters()
    assert daemon.get("/health")["parts"]["lease"]["state"] == "active"
    processes.kill(daemon.process)
    _all_that_it_called_is_allowed(stage)
    # Behind it, because what a person's check reads is not the daemon's to be allowed.
    _a_check_finds_nothing_missing(stage)
    stage.client("ecs").delete_service(cluster="shop", service="jobs", force=True)
    terraform.run("destroy", "-auto-approve", *ALL)
    assert "lockkeeper" not in json.dumps(stage.sqs.list_queues().get("QueueUrls", []))


def _all_that_it_called_is_allowed(stage: Stage) -> None:
    """By the policy that was applied; and by that of another cluster and queue it would not be."""
    policy = stage.client("iam").get_role_policy(RoleName="lockkeeper-task", PolicyName="deploy")["PolicyDocument"]
    calls = [it for it in stage.emulator.requests() if it.service != "sts"]
    assert {"dynamodb", "ecs", "sqs"} <= {it.service for it in calls}, {it.action for it in calls}
    refused = permitted.refused(calls, policy["Statement"])
    assert not refused, refused
    elsewhere = json.loads(json.dumps(policy["Statement"]).replace("/shop/", "/other/").replace(":lockkeeper\"", ":other\""))
    refused = {it.partition(" ")[0] for it in permitted.refused(calls, elsewhere)}
    assert {"ecs:DescribeServices", "ecs:UpdateService", "sqs:ReceiveMessage"} <= refused, refused


def _a_check_finds_nothing_missing(stage: Stage) -> None:
    """Of permissions: some of what the services read is not there in the emulator. Without the role's policy all is missing."""
    role = stage.client("iam").get_role(RoleName="lockkeeper-task")["Role"]["Arn"]
    policy = stage.client("iam").get_role_policy(RoleName="lockkeeper-task", PolicyName="deploy")["PolicyDocument"]
    # Lockkeeper's service is one of the cluster's, and its own roles are none that it may pass.
    found = _permissions(stage, role, policy["Statement"])
    assert all(it.startswith("iam:PassRole on ") and ":role/lockkeeper-" in it for level, it in found if level != "ok"), found
    assert "error" not in {level for level, _ in found}, found
    for action in ("dynamodb:UpdateItem", "sqs:GetQueueUrl", "ecs:ListServices"):
        rest = [it for it in policy["Statement"] if action not in it["Action"]]
        found = _permissions(stage, role, rest)
        assert any(level == "error" and what.startswith(f"{action} on ") for level, what in found), found


def _permissions(stage: Stage, role: str, granted: list[dict]) -> list[tuple[str, str]]:
    """What `check` finds of them: level and line."""
    iam = Iam(role, granted)
    try:
        tool = stage.tool(environment={**stage.variables, "AWS_ENDPOINT_URL_IAM": iam.url})
        findings = tool.answer("check", "--role", role, code=1)["findings"]
    finally:
        iam.close()
    return [(it["level"], it["what"]) for it in findings if it["about"] == "permissions"]


def _jobs(stage: Stage) -> None:
    """A service beside those of the example, whose definition reads a secret."""
    secret = stage.arn("secretsmanager", "secret:shop/db-AbCdEf")
    container = {"name": "app", "image": "nginx", "memory": 128, "secrets": [{"name": "DB", "valueFrom": f"{secret}:password::"}]}
    ecs = stage.client("ecs")
    ecs.register_task_definition(family="shop_jobs", containerDefinitions=[container])
    ecs.create_service(cluster="shop", serviceName="jobs", taskDefinition="shop_jobs", desiredCount=1)


def _daemon(stage: Stage) -> Daemon:
    """The daemon as the applied task definition would start it, but for the image."""
    ecs = stage.client("ecs")
    (container,) = ecs.describe_task_definition(taskDefinition="lockkeeper")["taskDefinition"]["containerDefinitions"]
    variables = {it["name"]: it["value"] for it in container["environment"]}
    stage.bus_name, stage.mark = "default", "shop"
    stage.queue_url = variables.pop("LOCKKEEPER__QUEUE__URL")
    stage.dead_url = stage.sqs.get_queue_url(QueueName="lockkeeper-dead")["QueueUrl"]
    assert stage.queue_url == stage.sqs.get_queue_url(QueueName="lockkeeper")["QueueUrl"]
    assert variables["AWS_REGION"] == REGION and variables["LOCKKEEPER__LEASE__TABLE"] == "lockkeeper", variables
    stage.variables = variables
    return stage.run(environment=variables)
