"""The CloudFormation templates really created. Without what the emulator lacks: an alarm on an expression, Athena's queries, and
rules that put events into Firehose."""

import json
import re
from pathlib import Path

import boto3
import events
from daemon import Daemon
from processes import until
from stage import REGION, Stage, short

TEMPLATES = Path(__file__).resolve().parents[3] / "deploy/cloudformation"


def _create(stage: Stage, name: str, lacks: str, **parameters: str) -> dict[str, str]:
    """Creates a stack of a template without the resources of these types, and says its outputs."""
    head, _, rest = (TEMPLATES / name).read_text().partition("\nResources:\n")
    resources, _, outputs = rest.partition("\nOutputs:\n")
    kept = [it for it in re.split(r"\n(?=  [A-Za-z#])", "\n" + resources) if not re.search(lacks, it)]
    body = f"{head}\nResources:\n{chr(10).join(kept)}\nOutputs:\n{outputs}"
    stacks = _client(stage, "cloudformation")
    given = [{"ParameterKey": key, "ParameterValue": value} for key, value in parameters.items()]
    stack = name.removesuffix(".yaml")
    stacks.create_stack(StackName=stack, TemplateBody=body, Parameters=given, Capabilities=["CAPABILITY_IAM"])

    def ended() -> dict | None:
        told = stacks.describe_stacks(StackName=stack)["Stacks"][0]
        return None if told["StackStatus"].endswith("IN_PROGRESS") else told

    told = until("the stack is created", ended, 60)
    failed = [it for it in stacks.describe_stack_events(StackName=stack)["StackEvents"] if "FAILED" in it["ResourceStatus"]]
    assert told["StackStatus"] == "CREATE_COMPLETE", failed
    return {it["OutputKey"]: it["OutputValue"] for it in told["Outputs"]}


def _client(stage: Stage, service: str):
    """A client of the emulator itself, also where a story has another ECS."""
    keys = {"aws_access_key_id": stage.account, "aws_secret_access_key": "secret"}
    return boto3.client(service, endpoint_url=stage.emulator.url, region_name=REGION, **keys)


def a_stack_is_created_and_its_rules_bring_a_request_to_a_rollout(stage: Stage) -> None:
    _client(stage, "ecs").create_cluster(clusterName=stage.cluster)
    network = _client(stage, "ec2")
    vpc = network.create_vpc(CidrBlock="10.0.0.0/16")["Vpc"]["VpcId"]
    subnet = network.create_subnet(VpcId=vpc, CidrBlock="10.0.1.0/24")["Subnet"]["SubnetId"]
    outputs = _create(
        stage,
        "lockkeeper.yaml",
        "^  Alarm(Inactive|Rules[0-9]):",
        Image=stage.image("lockkeeper", "0.1.0"),
        ImageRepositoryArn=stage.arn("ecr", "repository/lockkeeper"),
        VpcId=vpc,
        SubnetIds=subnet,
        ClusterName=stage.cluster,
        SettingsToml=stage.target(),
        Discovery="true",
        FileBucket="shop-env",
        PassRoleArns=f"arn:aws:iam::{stage.account}:role/shop-*",
        OwnRuleArns=stage.arn("events", "rule/mine"),
        WebhookPort="8443",
    )
    groups = network.describe_security_groups(Filters=[{"Name": "vpc-id", "Values": [vpc]}])["SecurityGroups"]
    ways = [{it["FromPort"] for it in group["IpPermissionsEgress"] if "FromPort" in it} for group in groups]
    assert {443, 8443} in ways, ways
    _says_what_the_daemon_may_do(stage, outputs)
    stage.with_rollouts()
    api = stage.service()
    daemon = _daemon(stage, outputs)
    stage.put(events.deploy("api", reason="by the stack's rule"))
    (deployment,) = stage.finished(daemon)
    stage.rest(daemon)
    assert deployment["outcome"] == "succeeded" and api.is_steady(), deployment
    assert len(stage.updates()) == 1 and stage.no_dead_letters()


def _says_what_the_daemon_may_do(stage: Stage, outputs: dict[str, str]) -> None:
    """What depends on a parameter, in the one policy that the service waits for; and who may send."""
    roles, name = _client(stage, "iam"), outputs["TaskRoleArn"].rpartition("/")[2]
    (policy,) = roles.list_role_policies(RoleName=name)["PolicyNames"]
    document = roles.get_role_policy(RoleName=name, PolicyName=policy)["PolicyDocument"]
    said = {it["Sid"] for it in document["Statement"]}
    assert {"PassRolesOfDefinitions", "ListServices", "ReadTimesOfFiles"} <= said and "HoldTheLease" not in said, said
    queue = _client(stage, "sqs").get_queue_attributes(QueueUrl=outputs["QueueUrl"], AttributeNames=["Policy"])
    statements = {it["Sid"]: it for it in json.loads(queue["Attributes"]["Policy"])["Statement"]}
    senders = statements["OurRules"]["Condition"]["ArnEquals"]["aws:SourceArn"]
    made = _client(stage, "events").list_rules(NamePrefix="lockkeeper-")["Rules"]
    assert set(senders) == {it["Arn"] for it in made}, (senders, made)
    assert statements["RulesOfYourOwn"]["Condition"]["ArnEquals"]["aws:SourceArn"] == [stage.arn("events", "rule/mine")], statements


def _daemon(stage: Stage, outputs: dict[str, str]) -> Daemon:
    """The daemon with the environment of the stack's task definition."""
    ecs = _client(stage, "ecs")
    (arn,) = ecs.list_task_definitions(familyPrefix="lockkeeper")["taskDefinitionArns"]
    (container,) = ecs.describe_task_definition(taskDefinition=short(arn))["taskDefinition"]["containerDefinitions"]
    variables = {it["name"]: it["value"] for it in container["environment"]}
    assert variables["LOCKKEEPER__QUEUE__URL"] == outputs["QueueUrl"] and variables["AWS_REGION"] == REGION, variables
    stage.bus_name, stage.queue_url, stage.dead_url = "default", outputs["QueueUrl"], outputs["DeadLetterQueueUrl"]
    del variables["LOCKKEEPER__QUEUE__URL"]
    return stage.run(environment=variables)


def what_is_put_into_the_archives_stream_is_read_back_from_its_bucket(stage: Stage) -> None:
    outputs = _create(stage, "archive.yaml", "Type: AWS::Athena::NamedQuery")
    told = {"source": "lockkeeper", "detail-type": "Lockkeeper Deployment Completed", "detail": {"outcome": "succeeded"}}
    record = {"Data": json.dumps(told).encode()}
    _client(stage, "firehose").put_record(DeliveryStreamName="lockkeeper-archive", Record=record)
    bucket = _client(stage, "s3")

    def files() -> list[dict]:
        return bucket.list_objects_v2(Bucket=outputs["BucketName"]).get("Contents", [])

    (file,) = until("the file is there", files)
    assert re.fullmatch(r"deployments/day=\d{4}-\d\d-\d\d/[^/]+", file["Key"]), file["Key"]
    body = bucket.get_object(Bucket=outputs["BucketName"], Key=file["Key"])["Body"].read()
    assert json.loads(body) == told, body
    (target,) = _client(stage, "events").list_targets_by_rule(Rule="lockkeeper-archive")["Targets"]
    assert target["Arn"].endswith(":deliverystream/lockkeeper-archive"), target
    assert target["DeadLetterConfig"]["Arn"].endswith(":lockkeeper-archive-undelivered"), target
    assert set(_writer(stage, outputs)) == {"s3", "logs"}, "Firehose may use a key, and there is none"


def an_archive_in_a_bucket_under_a_key_may_use_that_key_and_no_other(stage: Stage) -> None:
    key = stage.arn("kms", "key/1234abcd")
    _client(stage, "s3").create_bucket(Bucket="shop-archive", CreateBucketConfiguration={"LocationConstraint": REGION})
    lacks = "Type: AWS::Athena::NamedQuery"
    outputs = _create(stage, "archive.yaml", lacks, ExistingBucketName="shop-archive", ExistingBucketKeyArn=key)
    uses = _writer(stage, outputs)["kms"]
    assert (set(uses["Action"]), uses["Resource"]) == ({"kms:Decrypt", "kms:GenerateDataKey"}, key), uses
    assert uses["Condition"] == {"StringLike": {"kms:ViaService": "s3.*.amazonaws.com*"}}, uses
    (stream,) = [_client(stage, "firehose").describe_delivery_stream(DeliveryStreamName="lockkeeper-archive")["DeliveryStreamDescription"]]
    told = stream["Destinations"][0]["ExtendedS3DestinationDescription"]["CloudWatchLoggingOptions"]
    assert told["Enabled"] and told["LogGroupName"] == "/aws/kinesisfirehose/lockkeeper-archive", told
    alarms = _client(stage, "cloudwatch").describe_alarms(AlarmNamePrefix="lockkeeper-archive-")["MetricAlarms"]
    watched = {it["AlarmName"].removeprefix("lockkeeper-archive-"): it["Dimensions"][0]["Value"] for it in alarms}
    assert watched == {"undelivered": "lockkeeper-archive-undelivered", "unwritten": "lockkeeper-archive"}, watched


def _writer(stage: Stage, outputs: dict[str, str]) -> dict[str, dict]:
    """What Firehose may do, by service: the last statement of each."""
    roles, name = _client(stage, "iam"), outputs["WriterRoleArn"].rpartition("/")[2]
    document = roles.get_role_policy(RoleName=name, PolicyName="write")["PolicyDocument"]
    return {_service(it["Action"]): it for it in document["Statement"]}


def _service(action: str | list[str]) -> str:
    """Whose the action is, or the first of several."""
    return (action if isinstance(action, str) else action[0]).partition(":")[0]
