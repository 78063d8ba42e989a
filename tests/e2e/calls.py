"""What a call needs of IAM: the action, the resources and the condition keys, from its request."""

from dataclasses import dataclass, field

# Where the action is called otherwise than the operation.
ACTIONS = {
    "s3:ListObjectsV2": "s3:ListBucket",
    "sqs:ChangeMessageVisibilityBatch": "sqs:ChangeMessageVisibility",
    "sqs:DeleteMessageBatch": "sqs:DeleteMessage",
    "sqs:SendMessageBatch": "sqs:SendMessage",
}


@dataclass(frozen=True)
class Call:
    """A request, and in whose account and Region it was made."""

    service: str
    operation: str
    account: str
    region: str
    request: dict = field(hash=False)

    @property
    def action(self) -> str:
        """The action that it is."""
        name = f"{self.service}:{self.operation}"
        return ACTIONS.get(name, name)

    def arn(self, resource: str, service: str | None = None) -> str:
        """The ARN of something of this account and Region."""
        return f"arn:aws:{service or self.service}:{self.region}:{self.account}:{resource}"

    def whole(self, name: str, kind: str) -> str:
        """What is an ARN already, or the name of something of this kind."""
        return name if name.startswith("arn:") else self.arn(f"{kind}/{name}")


@dataclass(frozen=True)
class Need:
    """What has to be allowed for a call."""

    action: str
    resource: str
    context: dict = field(default_factory=dict, hash=False)

    def __str__(self) -> str:
        return f"{self.action} on {self.resource}" + (f" with {self.context}" if self.context else "")


def needs(call: Call) -> list[Need]:
    """All of it; an operation that is not known here is an error."""
    known = READERS.get(f"{call.service}:{call.operation}")
    assert known, f"nothing says which resources {call.service}:{call.operation} takes"
    return known(call)


def _on(call: Call, *resources: str, **context: list[str]) -> list[Need]:
    return [Need(call.action, it, context) for it in resources]


def _cluster(call: Call) -> str:
    return call.request.get("cluster", "default").rpartition("/")[2]


def _services(call: Call) -> list[Need]:
    names = [it for it in (*call.request.get("services", []), call.request.get("service")) if it]
    return _on(call, *(call.whole(it, f"service/{_cluster(call)}") for it in names))


def _in_cluster(call: Call) -> list[Need]:
    return [Need(call.action, "*", {"ecs:cluster": [call.arn(f"cluster/{_cluster(call)}")]})]


def _tags(call: Call) -> list[Need]:
    keys = call.request.get("tagKeys") or [it["key"] for it in call.request.get("tags", [])]
    return [Need(call.action, call.request["resourceArn"], {"aws:TagKeys": keys})]


def _register(call: Call) -> list[Need]:
    """Registering passes the roles that the definition names, and tags it if it has tags."""
    definition = call.arn(f"task-definition/{call.request['family']}:*")
    found = _on(call, definition)
    if tags := [it["key"] for it in call.request.get("tags") or []]:
        context = {"aws:TagKeys": tags, "ecs:CreateAction": ["RegisterTaskDefinition"]}
        found.append(Need("ecs:TagResource", definition, context))
    roles = [it for it in map(call.request.get, ("taskRoleArn", "executionRoleArn")) if it]
    passed = {"iam:PassedToService": ["ecs-tasks.amazonaws.com"]}
    return found + [Need("iam:PassRole", it, passed) for it in roles]


def _queue(call: Call) -> list[Need]:
    return _on(call, call.arn(call.request.get("QueueName") or call.request["QueueUrl"].rpartition("/")[2]))


def _image(call: Call) -> list[Need]:
    owner = call.request.get("registryId") or call.account
    return _on(call, f"arn:aws:ecr:{call.region}:{owner}:repository/{call.request['repositoryName']}")


def _secret(call: Call) -> list[Need]:
    # A name is looked up: what is checked has the six characters behind it.
    name = call.request["SecretId"]
    return _on(call, name if name.startswith("arn:") else call.arn(f"secret:{name}-AbCdEf"))


READERS = {
    "ecs:DescribeServices": _services,
    "ecs:ListServiceDeployments": _services,
    "ecs:UpdateService": _services,
    "ecs:DescribeServiceDeployments": lambda call: _on(call, *call.request["serviceDeploymentArns"]),
    "ecs:DescribeServiceRevisions": lambda call: _on(call, *call.request["serviceRevisionArns"]),
    "ecs:StopServiceDeployment": lambda call: _on(call, call.request["serviceDeploymentArn"]),
    "ecs:TagResource": _tags,
    "ecs:UntagResource": _tags,
    "ecs:DescribeTasks": lambda call: _on(call, *(call.whole(it, f"task/{_cluster(call)}") for it in call.request["tasks"])),
    "ecs:ListTasks": _in_cluster,
    "ecs:ListServices": _in_cluster,
    "ecs:ListClusters": lambda call: _on(call, "*"),
    "ecs:DescribeClusters": lambda call: _on(call, *(call.whole(it, "cluster") for it in call.request["clusters"])),
    "ecs:DescribeTaskDefinition": lambda call: _on(call, "*"),
    "ecs:RegisterTaskDefinition": _register,
    "ecr:BatchGetImage": _image,
    "ecr:DescribeImages": _image,
    "ssm:DescribeParameters": lambda call: _on(call, "*"),
    "secretsmanager:ListSecretVersionIds": _secret,
    "s3:ListObjectsV2": lambda call: _on(call, f"arn:aws:s3:::{call.request['Bucket']}"),
    "sqs:ChangeMessageVisibility": _queue,
    "sqs:ChangeMessageVisibilityBatch": _queue,
    "sqs:DeleteMessage": _queue,
    "sqs:DeleteMessageBatch": _queue,
    "sqs:GetQueueAttributes": _queue,
    "sqs:GetQueueUrl": _queue,
    "sqs:ReceiveMessage": _queue,
    "sqs:SendMessage": _queue,
    "sqs:SendMessageBatch": _queue,
    "dynamodb:GetItem": lambda call: _on(call, call.arn(f"table/{call.request['TableName']}")),
    "dynamodb:UpdateItem": lambda call: _on(call, call.arn(f"table/{call.request['TableName']}")),
}
