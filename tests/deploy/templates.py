"""The CloudFormation templates say what the Terraform module says: the same filters, patterns, permissions and limits."""

import fnmatch
import json
import re
import sys
from pathlib import Path

import yaml

TESTS = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(TESTS / "e2e"))

from permitted import allowed  # noqa: E402, from the folder of the stories

DEPLOY = TESTS.parent / "deploy"

# What the template has no parameter for, and so no rule or permission.
LEFT_OUT_RULES = {"decisions", "files-cloudtrail", "image-removals", "image-scans-basic", "image-scans-enhanced"}
LEFT_OUT_ACTIONS = {"sts:AssumeRole", "events:PutEvents", "sns:Publish", "kms:Decrypt", "kms:GenerateDataKey"}


class Template(yaml.SafeLoader):
    """YAML with CloudFormation's functions, each as an object with one key."""


def _function(loader: Template, suffix: str, node: yaml.Node) -> dict:
    if isinstance(node, yaml.ScalarNode):
        return {suffix: loader.construct_scalar(node)}
    if isinstance(node, yaml.SequenceNode):
        return {suffix: loader.construct_sequence(node, deep=True)}
    return {suffix: loader.construct_mapping(node, deep=True)}


Template.add_multi_constructor("!", _function)


def load(name: str, section: str = "Resources") -> dict:
    """The resources of a template, or another section."""
    return yaml.load((DEPLOY / "cloudformation" / name).read_text(), Template)[section]  # noqa: S506, a SafeLoader


def of_type(resources: dict, kind: str) -> list[dict]:
    """The properties of the resources of a type."""
    return [it["Properties"] for it in resources.values() if it["Type"] == kind]


def statements(policy: dict) -> list[dict]:
    """Those of a policy, also those that depend on a parameter: `!If [Condition, {…}, !Ref AWS::NoValue]`."""
    return [it["If"][1] if "If" in it else it for it in policy["PolicyDocument"]["Statement"]]


def actions(resources: dict) -> set[str]:
    """What the daemon's role may do."""
    found: set[str] = set()
    for policy in of_type(resources, "AWS::IAM::Policy"):
        for statement in statements(policy):
            found |= set([statement["Action"]] if isinstance(statement["Action"], str) else statement["Action"])
    return found


def check_core() -> None:
    """The template of the core."""
    resources = load("lockkeeper.yaml")
    ours = json.loads((DEPLOY / "terraform/metric-filters.json").read_text())
    filters = {it["MetricTransformations"][0]["MetricName"]: it for it in of_type(resources, "AWS::Logs::MetricFilter")}
    assert {name: it["FilterPattern"] for name, it in filters.items()} == {it["metric"]: it["pattern"] for it in ours}
    for it in ours:
        dimensions = filters[it["metric"]]["MetricTransformations"][0].get("Dimensions", [])
        assert {d["Key"]: d["Value"] for d in dimensions} == it["dimensions"], it["name"]
    patterns = (DEPLOY / "terraform/modules/patterns/main.tf").read_text()
    rules = set(re.findall(r"^    ([a-z-]+) = \{$", patterns.partition("\n  rules = {\n")[2], re.MULTILINE))
    made = {it["Name"]["Sub"].removeprefix("${Name}-"): it["EventPattern"] for it in of_type(resources, "AWS::Events::Rule")}
    assert set(made) == rules - LEFT_OUT_RULES, set(made) ^ (rules - LEFT_OUT_RULES)
    for name, pattern in made.items():
        block = patterns.partition(f"\n    {name} = {{\n")[2].partition("\n    }\n")[0]
        said = set(re.findall(r'"((?:aws|github|action)\.[a-z0-9.]+)"', block))
        sources = {it if isinstance(it, str) else next(iter(it.values())) for it in pattern["source"]}
        assert sources == said, (name, sources, said)
        types = {it if isinstance(it, str) else next(iter(it.values())) for it in pattern.get("detail-type", [])}
        assert all(f'"{it}"' in block for it in types), (name, types)
    assert actions(resources) == allowed() - LEFT_OUT_ACTIONS, actions(resources) ^ allowed()
    for queue in of_type(resources, "AWS::SQS::Queue"):
        assert queue["MessageRetentionPeriod"] == 14 * 24 * 3600 and queue["SqsManagedSseEnabled"] is True, queue


def check_lost_events() -> None:
    """What any rule loses rings, in as many alarms as CloudWatch's ten metrics for one ask for."""
    resources = load("lockkeeper.yaml")
    alarms = [it for it in of_type(resources, "AWS::CloudWatch::Alarm") if "-rules-" in it["AlarmName"]["Sub"]]
    watched = [[it["MetricStat"]["Metric"] for it in alarm["Metrics"] if "MetricStat" in it] for alarm in alarms]
    assert all(0 < len(it) <= 10 for it in watched), [len(it) for it in watched]
    pairs = {(it["MetricName"], it["Dimensions"][0]["Value"]["Sub"]) for metrics in watched for it in metrics}
    rules = {it["Name"]["Sub"] for it in of_type(resources, "AWS::Events::Rule")}
    wanted = {(metric, rule) for metric in ("FailedInvocations", "InvocationsFailedToBeSentToDlq") for rule in rules}
    assert pairs == wanted, pairs ^ wanted


def check_policies() -> None:
    """The service comes after all that its role may do, and only our own rules may send to the queues."""
    resources = load("lockkeeper.yaml")
    policies = {name for name, it in resources.items() if it["Type"] == "AWS::IAM::Policy"}
    assert policies <= set(resources["Service"]["DependsOn"]), f"the service may start before {policies}"
    rules = {it["Name"]["Sub"] for it in of_type(resources, "AWS::Events::Rule")}
    for name in ("QueuePolicy", "UndeliveredPolicy"):
        (ours,) = [it for it in statements(resources[name]["Properties"]) if it["Sid"] == "OurRules"]
        named = {it["Sub"].partition(":rule/")[2] for it in ours["Condition"]["ArnEquals"]["aws:SourceArn"]}
        assert named == rules, f"{name}: {named ^ rules}"


def check_secrets() -> None:
    """A secret that is named whole is also found by its ARN, to which AWS appends six characters, and no other one is."""
    (rule,) = [it for it in of_type(load("lockkeeper.yaml"), "AWS::Events::Rule") if it["Name"]["Sub"].endswith("secrets-cloudtrail")]
    called, rotated = rule["EventPattern"]["detail"]["$or"]
    arn = "arn:aws:secretsmanager:eu-west-1:111122223333:secret:shop/db"
    for ids, names in (
        (called["requestParameters"]["secretId"], ["shop/db", arn, f"{arn}-AbCdEf"]),
        (rotated["additionalEventData"]["SecretId"], [arn, f"{arn}-AbCdEf"]),
    ):
        shapes = [_filled(it["wildcard"]) for it in ids]
        missed = [it for it in names if not any(fnmatch.fnmatchcase(it, shape) for shape in shapes)]
        assert not missed, f"{missed} is matched by none of {shapes}"
        assert not any(fnmatch.fnmatchcase(f"{arn}2-AbCdEf", shape) for shape in shapes), shapes


def _filled(value: dict) -> str:
    """A `!Ref SecretNames` or `!Sub` of the rule above, with a secret that is named whole."""
    given = {"AWS::Partition": "aws", "AWS::Region": "eu-west-1", "AWS::AccountId": "111122223333", "SecretNames": "shop/db"}
    return given[value["Ref"]] if "Ref" in value else re.sub(r"\$\{([^}]+)\}", lambda it: given[it[1]], value["Sub"])


def check_parameters() -> None:
    """What is given becomes part of names, ARNs and policies, so each parameter says what it may be; its default is that."""
    for name in ("lockkeeper.yaml", "archive.yaml"):
        for parameter, it in load(name, "Parameters").items():
            if it["Type"] not in ("String", "CommaDelimitedList") or "AllowedValues" in it or parameter == "SettingsToml":
                continue
            assert "AllowedPattern" in it, f"{name}: {parameter} may be anything"
            pattern = re.compile(it["AllowedPattern"])
            assert pattern.fullmatch(it.get("Default", "")) or "Default" not in it, f"{name}: {parameter} may not be its default"
            assert not any(pattern.fullmatch(bad) for bad in ('x"y', "x y\n", "${x}")), f"{name}: {parameter} takes too much"
    patterns = {key: it["AllowedPattern"] for key, it in load("lockkeeper.yaml", "Parameters").items() if "AllowedPattern" in it}
    role = "arn:aws:iam::111122223333:role/"
    for key, taken, refused in (
        ("PassRoleArns", f"{role}service-role/shop-*", f"{role}*"),
        ("FileBucket", "shop-env.eu", "shop-*"),
        ("AlarmTopicArn", "arn:aws:sns:eu-west-1:111122223333:on-call", "arn:aws:sns:eu-west-1:111122223333:*"),
        ("MetricNamespace", "Lockkeeper/prod", "AWS/SQS"),
        ("OwnRuleArns", "arn:aws:events:eu-west-1:111122223333:rule/bus/mine", "arn:aws:events:eu-west-1:111122223333:rule/*"),
    ):
        assert re.fullmatch(patterns[key], taken) and not re.fullmatch(patterns[key], refused), key


def check_archive() -> None:
    """The template of the archive: its columns and queries are fields of the events that are sent."""
    resources = load("archive.yaml")
    (table,) = of_type(resources, "AWS::Glue::Table")
    columns = table["TableInput"]["StorageDescriptor"]["Columns"]
    (detail,) = [it["Type"] for it in columns if it["Name"] == "detail"]
    fields = set(re.findall(r"([a-z]+):", detail))
    (rule,) = of_type(resources, "AWS::Events::Rule")
    assert rule["Targets"][0]["DeadLetterConfig"] and rule["Targets"][0]["RetryPolicy"], "what Firehose refuses is lost"
    check_writer(resources)
    for query in of_type(resources, "AWS::Athena::NamedQuery"):
        named = set(re.findall(r"detail\.([a-z.]+)", query["QueryString"]))
        assert named and all(set(it.split(".")) <= fields for it in named), (query["Name"], named, fields)


def check_writer(resources: dict) -> None:
    """Firehose may write where it says why it could not write a file, and what it cannot write rings."""
    (stream,) = of_type(resources, "AWS::KinesisFirehose::DeliveryStream")
    told = stream["ExtendedS3DestinationConfiguration"]["CloudWatchLoggingOptions"]
    assert told == {"Enabled": True, "LogGroupName": {"Ref": "WriterLog"}, "LogStreamName": {"Ref": "WriterLogStream"}}, told
    (write,) = resources["WriterRole"]["Properties"]["Policies"]
    said = {str(it["Action"]): it for it in statements(write)}
    assert said["logs:PutLogEvents"]["Resource"]["Sub"].endswith(":log-group:${WriterLog}:log-stream:${WriterLogStream}"), said
    alarms = {it["MetricName"]: it for it in of_type(resources, "AWS::CloudWatch::Alarm")}
    assert alarms.keys() == {"ApproximateNumberOfMessagesVisible", "DeliveryToS3.DataFreshness"}, alarms.keys()
    files = stream["ExtendedS3DestinationConfiguration"]["BufferingHints"]["IntervalInSeconds"]
    assert alarms["DeliveryToS3.DataFreshness"]["Threshold"] > 2 * files, "a file that is only not due yet rings"


def check_installations() -> None:
    """Several installations in one Prometheus: whatever adds them up says which it is about."""
    rules = [
        rule["expr"]
        for name in ("alerts.yml", "recording.yml")
        for group in yaml.safe_load((DEPLOY / "prometheus" / name).read_text())["groups"]
        for rule in group["rules"]
    ]
    mixed = [it for it in rules if re.search(r"\b(sum|min|max|avg|count|group)\b(?! by \(job\b)", it)]
    assert not mixed, f"these mix installations: {mixed}"
    panels = json.loads((DEPLOY / "grafana/lockkeeper.json").read_text())["panels"]
    asked = [target["expr"] for panel in panels for target in panel.get("targets", [])]
    loose = [it for it in asked if len(re.findall(r"\b(?:lockkeeper|process)[_:]", it)) != it.count('{job=~"$job"')]
    assert asked and not loose, f"these show other jobs, too: {loose}"


def check_runbook() -> None:
    """Each alarm and alert is in the runbook, and each one that it names is made."""
    runbook = (DEPLOY.parent / "docs/runbook.md").read_text()
    terraform = (DEPLOY / "terraform/alarms.tf").read_text()
    alarms = set(re.findall(r"^    ([a-z-]+) = \{\n      description", terraform, re.MULTILINE))
    alarms |= set(re.findall(r'alarm_name\s+= "\$\{var.name\}-([a-z-]+)"', terraform))
    # As many as there are rules.
    alarms |= {"rules-1"} if "-rules-${each.key}" in terraform else set()
    names = {it["AlarmName"]["Sub"].removeprefix("${Name}-") for it in of_type(load("lockkeeper.yaml"), "AWS::CloudWatch::Alarm")}
    assert {re.sub(r"^rules-\d$", "rules-1", it) for it in names} <= alarms, names
    archive = {it["AlarmName"]["Sub"].removeprefix("${Name}-") for it in of_type(load("archive.yaml"), "AWS::CloudWatch::Alarm")}
    alarms |= {f"<archive's name>-{it}" for it in archive}
    rules = yaml.safe_load((DEPLOY / "prometheus/alerts.yml").read_text())["groups"]
    alerts = {rule["alert"] for group in rules for rule in group["rules"]}
    missing = {it for it in alarms | alerts if f"`{it}`" not in runbook}
    assert not missing, f"the runbook says nothing of {missing}"
    unknown = set(re.findall(r"`(Lockkeeper[A-Z][A-Za-z]+)`", runbook)) - alerts
    assert not unknown, f"the runbook tells of {unknown}, which nobody makes"


if __name__ == "__main__":
    check_core()
    check_lost_events()
    check_policies()
    check_secrets()
    check_parameters()
    check_installations()
    check_runbook()
    check_archive()
    print("the templates say what the Terraform module says")
    sys.exit(0)
