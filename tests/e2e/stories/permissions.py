"""Whether permissions suffice is asked of IAM: for a role that may too little, and for one that may enough."""

import json

from stage import Stage


def _role(stage: Stage, *statements: dict) -> str:
    iam = stage.client("iam")
    name = f"{stage.cluster}-task"
    trust = {"Effect": "Allow", "Principal": {"Service": "ecs-tasks.amazonaws.com"}, "Action": "sts:AssumeRole"}
    trust = json.dumps({"Version": "2012-10-17", "Statement": [trust]})
    arn = iam.create_role(RoleName=name, AssumeRolePolicyDocument=trust)["Role"]["Arn"]
    policy = json.dumps({"Version": "2012-10-17", "Statement": list(statements)})
    iam.put_role_policy(RoleName=name, PolicyName="deploy", PolicyDocument=policy)
    return arn


def _permissions(stage: Stage, role: str, code: int) -> list[tuple[str, str]]:
    """What is found of them: level and line."""
    findings = stage.tool().answer("check", "--role", role, code=code)["findings"]
    return [(it["level"], it["what"]) for it in findings if it["about"] == "permissions"]


def a_role_that_may_too_little_is_told_what_it_lacks(stage: Stage) -> None:
    stage.queues()
    queue, dead = stage.arn("sqs", stage.cluster), stage.arn("sqs", f"{stage.cluster}-dead")
    receive = ["sqs:ReceiveMessage", "sqs:ChangeMessageVisibility", "sqs:GetQueueAttributes", "sqs:GetQueueUrl"]
    role = _role(
        stage,
        {"Effect": "Allow", "Action": receive, "Resource": [queue, dead]},
        {"Effect": "Allow", "Action": "sqs:DeleteMessage", "Resource": f"{queue}-other"},
    )
    found = _permissions(stage, role, 1)
    denied = sorted(what.split(" is ")[0] for level, what in found if level == "error")
    assert denied == [
        f"sqs:DeleteMessage on {queue}",
        f"sqs:SendMessage on {queue}",
        f"sqs:SendMessage on {dead}",
    ], found


def a_role_that_may_enough_is_said_to(stage: Stage) -> None:
    stage.queues()
    queue = stage.arn("sqs", stage.cluster)
    role = _role(stage, {"Effect": "Allow", "Action": "sqs:*", "Resource": f"{queue}*"})
    # The check as a whole fails: the queue's policy lets no rule send.
    ((level, what),) = _permissions(stage, role, 1)
    assert level == "ok" and f"allowed to {role}, as SimulatePrincipalPolicy says" in what, what
