"""Least privilege, held against what was really called.

By name: the daemons' logs tell every call to AWS, the Terraform module's files every action that their role is allowed; neither
may be without the other. By resource and condition: the requests that emulators recorded are held against the statements that
Terraform renders of `modules/permissions`, for the clusters, Regions and roles of the story, and in the story of the applied
module against the policy that was applied.
"""

import json
import re
import tempfile
import threading
from pathlib import Path

import terraform
from calls import ACTIONS, Call, needs
from policy import allows

DEPLOY = Path(__file__).resolve().parents[2] / "deploy"

# Needs no permission.
FREE = {"sts:GetCallerIdentity"}
# Asked for by AWS when definitions are registered, and no operation of its own; called for credentials, of which no log tells;
# asked for by SQS and SNS where queues and topics are under a key.
IMPLIED = {"iam:PassRole", "sts:AssumeRole", "kms:Decrypt", "kms:GenerateDataKey"}
# Held by name only: of these no request is recorded in JSON.
BY_NAME = IMPLIED | {"s3:ListBucket"}
# What belongs to the daemon's own account and to no account that it deploys in: held where the module is applied.
OWN = ("dynamodb", "events", "sns", "sqs", "sts")
# Stand for those of a story until it is known: digits, so that nothing else looks like them.
ACCOUNT, CLUSTER, REGION = "999999999999", "cluster-77777-{}", "region-77777-{}"

# The actions of which a call was held against resources and conditions.
held: set[str] = set()

_rendering = threading.Lock()
_rendered: dict[tuple[int, int], str] = {}


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
        unheld = sorted(it for it in granted - held - BY_NAME if it.partition(":")[0] not in OWN)
        found += [f"{it} is allowed, and no call of it was held against its resources" for it in unheld]
    return found


def statements(account: str, regions: list[str], clusters: list[str]) -> list[dict]:
    """What `modules/permissions` says for an account, with all that is optional."""
    size = len(regions), len(clusters)
    with _rendering:
        if size not in _rendered:
            _rendered[size] = _render(*size)
    text = _rendered[size].replace(ACCOUNT, account)
    for pattern, names in ((REGION, regions), (CLUSTER, clusters)):
        for number, name in enumerate(names):
            text = text.replace(pattern.format(number), name)
    return json.loads(text)


def _render(regions: int, clusters: int) -> str:
    """The statements as Terraform makes them. It needs no provider: the module makes nothing."""
    given = {
        "account": ACCOUNT,
        "partition": "aws",
        "regions": [REGION.format(it) for it in range(regions)],
        "clusters": [CLUSTER.format(it) for it in range(clusters)],
        "task_families": None,
        "pass_role_arns": [f"arn:aws:iam::{ACCOUNT}:role/shop-*"],
        "discovery": True,
        "reconcile": True,
        "repositories": ["*"],
        "parameters": ["*"],
        "secret_names": ["*"],
        "buckets": ["shop-*"],
    }
    with tempfile.TemporaryDirectory() as folder:
        (found,) = terraform.rendered(Path(folder), "permissions", "statements", [given])
    return json.dumps(found)


def refused(calls: list[Call], granted: list[dict]) -> list[str]:
    """What of these calls the statements do not allow."""
    wanted = [it for call in calls for it in needs(call)]
    held.update(it.action for it in wanted)
    return sorted({str(it) for it in wanted if not allows(granted, it.action, it.resource, it.context)})
