"""Events in the shapes in which AWS, CI systems and people send them."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Event:
    """What is put on a bus."""

    source: str
    detail_type: str
    detail: dict


def push(repository: str, tag: str, digest: str) -> Event:
    """An image was pushed to ECR."""
    detail = {
        "result": "SUCCESS",
        "repository-name": repository,
        "image-digest": digest,
        "action-type": "PUSH",
        "image-tag": tag,
    }
    return Event("aws.ecr", "ECR Image Action", detail)


def parameter(name: str, operation: str = "Update") -> Event:
    """A parameter was written to SSM."""
    return Event("aws.ssm", "Parameter Store Change", {"operation": operation, "name": name, "type": "String"})


def file(bucket: str, key: str) -> Event:
    """An object was written to S3."""
    detail = {
        "version": "0",
        "bucket": {"name": bucket},
        "object": {"key": key, "size": 5, "etag": "b1946ac92492d234", "sequencer": "00617F08299329D189"},
        "reason": "PutObject",
    }
    return Event("aws.s3", "Object Created", detail)


def pipeline(name: str, commit: str | None, stage: str = "prod") -> Event:
    """A pipeline of SageMaker Unified Studio has deployed."""
    metadata = {"user": "release-bot", "gitCommit": commit, "gitBranch": "main", "runId": "8841"}
    detail = {
        "pipelineName": name,
        "stage": "deploy",
        "status": "completed",
        "target": {"name": stage, "stage": stage.upper()},
        "metadata": {key: value for key, value in metadata.items() if value},
    }
    return Event("com.amazon.smus.cicd", "SMUS-CICD-Deploy-Completed", detail)


def ready(repository: str, tag: str, branch: str | None = "main") -> Event:
    """A CI system says that an image is ready."""
    detail = {"repository": repository, "tag": tag, "branch": branch, "commit": "0f1e2d3"}
    return Event("github.actions", "Deployment Ready", {key: value for key, value in detail.items() if value})


def deploy(service: str, **wishes: object) -> Event:
    """A person asks for a deployment."""
    return Event("action.deploy", "DEPLOY", {"service": service, **wishes})


def secret(identity: str) -> Event:
    """A secret got a new value, as CloudTrail tells it."""
    detail = {
        "eventSource": "secretsmanager.amazonaws.com",
        "eventName": "PutSecretValue",
        "requestParameters": {"secretId": identity, "clientRequestToken": "0a1b"},
    }
    return Event("aws.secretsmanager", "AWS API Call via CloudTrail", detail)


def label(name: str) -> Event:
    """The label of a secret's current value moved, as Secrets Manager tells it."""
    detail = {"name": name, "labelUpdated": "AWSCURRENT", "versionId": "a1b2c3d4-5678-90ab-cdef-0123456789ab"}
    return Event("aws.secretsmanager", "Secret Label Updated", detail)


def rollout() -> Event:
    """ECS tells that a rollout of a service began; which one stands among the resources."""
    detail = {
        "eventType": "INFO",
        "eventName": "SERVICE_DEPLOYMENT_IN_PROGRESS",
        "deploymentId": "ecs-svc/123",
        "updatedAt": "2026-11-21T10:00:00Z",
        "reason": "ECS deployment ecs-svc/123 in progress.",
    }
    return Event("aws.ecs", "ECS Deployment State Change", detail)
