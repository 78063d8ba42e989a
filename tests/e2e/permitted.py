"""Least privilege, held against what was really called: the daemons' logs tell every call to AWS, the Terraform module every
action that their role is allowed."""

import re
from pathlib import Path

DEPLOY = Path(__file__).resolve().parents[2] / "deploy"

# Where the action is called otherwise than the operation.
ACTIONS = {
    "s3:ListObjectsV2": "s3:ListBucket",
    "sqs:ChangeMessageVisibilityBatch": "sqs:ChangeMessageVisibility",
    "sqs:DeleteMessageBatch": "sqs:DeleteMessage",
    "sqs:SendMessageBatch": "sqs:SendMessage",
}
# Needs no permission.
FREE = {"sts:GetCallerIdentity"}
# Asked for by AWS when definitions are registered, and no operation of its own; called for credentials, of which no log tells;
# asked for by SQS and SNS where queues and topics are under a key.
IMPLIED = {"iam:PassRole", "sts:AssumeRole", "kms:Decrypt", "kms:GenerateDataKey"}


def allowed() -> set[str]:
    """What the module's files name for the task's role, with all that is optional."""
    task = (DEPLOY / "terraform/iam.tf").read_text().partition('resource "aws_iam_role" "task"')[2]
    permissions = (DEPLOY / "terraform/modules/permissions/main.tf").read_text()
    lists = re.findall(r"Action\s*=\s*\[[^\]]*\]", task + permissions)
    return set(re.findall(r'"([a-z0-9]+:[A-Z][A-Za-z]+)"', "".join(lists)))


def called(lines: list[dict]) -> set[str]:
    """The actions that the calls in a log need."""
    operations = {
        f"{line['fields']['service']}:{line['fields']['operation']}" for line in lines if line["message"] == "aws call"
    }
    return {ACTIONS.get(it, it) for it in operations} - FREE


def findings(actions: set[str], *, whole: bool) -> list[str]:
    """What is called and not allowed; and after the whole suite, what is allowed and never called."""
    granted = allowed()
    found = [f"{it} is called, and not allowed" for it in sorted(actions - granted)]
    if whole:
        found += [f"{it} is allowed, and never called" for it in sorted(granted - actions - IMPLIED)]
    return found
