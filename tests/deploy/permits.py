"""The matcher that recorded calls are held against the policy with refuses what IAM refuses, and knows what a call needs."""

import shutil
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "e2e"))

import permitted  # noqa: E402, from the folder of the stories
from calls import Call, needs  # noqa: E402
from policy import allows, matches, matches_arn  # noqa: E402

ACCOUNT, REGION = "111122223333", "eu-west-1"
ECS = f"arn:aws:ecs:{REGION}:{ACCOUNT}"
ROLE = f"arn:aws:iam::{ACCOUNT}:role"
API = {"cluster": "shop", "service": "api"}
IMAGE = {"repositoryName": "shop_api", "imageIds": []}
# What is asked, of the statements for the cluster `shop`, and what of it is refused.
ASKED = [
    ("ecs", "UpdateService", API, []),
    ("ecs", "UpdateService", {**API, "cluster": f"{ECS}:cluster/shop"}, []),
    ("ecs", "UpdateService", {**API, "cluster": "tools"}, ["ecs:UpdateService"]),
    ("ecs", "UpdateService", {**API, "service": f"{ECS}:service/tools/api"}, ["ecs:UpdateService"]),
    ("ecs", "DescribeServices", {"cluster": "shop", "services": ["api", f"{ECS}:service/tools/api"]}, ["ecs:DescribeServices"]),
    ("ecs", "StopServiceDeployment", {"serviceDeploymentArn": f"{ECS}:service-deployment/shop/api/1"}, []),
    ("ecs", "StopServiceDeployment", {"serviceDeploymentArn": f"{ECS}:service-deployment/tools/api/1"}, ["ecs:StopServiceDeployment"]),
    ("ecs", "ListTasks", API, []),
    ("ecs", "ListTasks", {**API, "cluster": "tools"}, ["ecs:ListTasks"]),
    ("ecs", "ListTasks", {}, ["ecs:ListTasks"]),
    ("ecs", "DescribeTasks", {"cluster": "shop", "tasks": ["0a1b"]}, []),
    ("ecs", "DescribeTasks", {"cluster": "shop", "tasks": [f"{ECS}:task/tools/0a1b"]}, ["ecs:DescribeTasks"]),
    ("ecs", "TagResource", {"resourceArn": f"{ECS}:service/shop/api", "tags": [{"key": "lockkeeper:paused"}]}, []),
    ("ecs", "TagResource", {"resourceArn": f"{ECS}:service/shop/api", "tags": [{"key": "team"}]}, ["ecs:TagResource"]),
    ("ecs", "TagResource", {"resourceArn": f"{ECS}:service/tools/api", "tags": [{"key": "lockkeeper:paused"}]}, ["ecs:TagResource"]),
    ("ecs", "UntagResource", {"resourceArn": f"{ECS}:cluster/shop", "tagKeys": ["lockkeeper:paused"]}, ["ecs:UntagResource"]),
    ("ecs", "RegisterTaskDefinition", {"family": "api", "tags": [{"key": "team"}], "taskRoleArn": f"{ROLE}/shop-task"}, []),
    ("ecs", "RegisterTaskDefinition", {"family": "api", "executionRoleArn": f"{ROLE}/admin"}, ["iam:PassRole"]),
    ("ecr", "DescribeImages", IMAGE, []),
    ("ecr", "DescribeImages", {**IMAGE, "registryId": "999988887777"}, ["ecr:DescribeImages"]),
    ("secretsmanager", "ListSecretVersionIds", {"SecretId": "shop/db"}, []),
    ("s3", "ListObjectsV2", {"Bucket": "shop-env"}, []),
    ("s3", "ListObjectsV2", {"Bucket": "payroll"}, ["s3:ListBucket"]),
    ("sqs", "ReceiveMessage", {"QueueUrl": f"https://sqs.{REGION}.amazonaws.com/{ACCOUNT}/lockkeeper"}, ["sqs:ReceiveMessage"]),
]


def check_matcher() -> None:
    """Wildcards and operators."""
    assert matches("a*c", "abbc") and matches("*", "") and matches("a?c", "abc")
    assert not matches("a?c", "ac") and not matches("a*c", "abcd") and not matches("a.c", "abc")
    assert matches_arn(f"{ECS}:cluster/*", f"{ECS}:cluster/shop") and not matches_arn("arn:*", f"{ECS}:cluster/shop")
    # A star does not reach over a part: this one would be a Region of another account.
    assert not matches_arn("arn:aws:ecs:*:cluster/shop", f"{ECS}:cluster/shop")
    passing = {"Effect": "Allow", "Action": "iam:PassRole", "Resource": [f"{ROLE}/shop"]}
    passing["Condition"] = {"StringEquals": {"iam:PassedToService": "ecs-tasks.amazonaws.com"}}
    for service, allowed in ((["ecs-tasks.amazonaws.com"], True), (["ec2.amazonaws.com"], False), ([], False)):
        assert allows([passing], "iam:PassRole", f"{ROLE}/shop", {"iam:PassedToService": service}) is allowed, service
    assert not allows([passing], "iam:PassRole", f"{ROLE}/other", {"iam:PassedToService": ["ecs-tasks.amazonaws.com"]})
    for odd in ({"Effect": "Deny"}, {"NotAction": "*"}, {"Condition": {"Bool": {"aws:SecureTransport": "true"}}}):
        try:
            allows([{**passing, **odd}], "iam:PassRole", f"{ROLE}/shop", {})
        except AssertionError:
            continue
        raise AssertionError(f"{odd} was taken for something known")


def check_statements() -> None:
    """What the module says for one cluster, of calls that it is for and of calls that it is not for."""
    granted = permitted.statements(ACCOUNT, [REGION], ["shop"])
    for service, operation, request, refused in ASKED:
        call = Call(service, operation, ACCOUNT, REGION, request)
        found = [it.action for it in needs(call) if not allows(granted, it.action, it.resource, it.context)]
        assert found == refused, (operation, request, found)
    other = Call("ecs", "UpdateService", ACCOUNT, "us-east-1", API)
    assert permitted.refused([other], granted), "another Region was allowed"


if __name__ == "__main__":
    check_matcher()
    if shutil.which("terraform"):
        check_statements()
        print(f"the policy allows and refuses as it should: {len(ASKED)} calls")
    else:
        print("SKIPPED: no statements were rendered: there is no terraform on this machine", file=sys.stderr)
