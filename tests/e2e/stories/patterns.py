"""Every pattern that the Terraform module makes, for lists of none, one and two: an emulator that refuses what EventBridge refuses
takes it, and so does the world, which the daemon's own reading of patterns is held against."""

import itertools
import json

import terraform
from botocore.exceptions import ClientError
from stage import REGION, Stage

SIZES = range(3)
TRIGGERS = (
    "image_pushes",
    "image_replications",
    "image_removals",
    "image_scans",
    "parameters",
    "secrets",
    "secrets_cloudtrail",
    "files",
    "files_cloudtrail",
    "image_ready",
    "service_deploys",
    "deploy_requests",
    "decisions",
    "rollouts",
    "service_actions",
    "hooks",
    "stopped_tasks",
)
NAMED = {
    "repositories": ["shop_*", "base/web"],
    "parameters": ["/shop/*", "/base/KEY"],
    "secret_names": ["shop/db", "*/api"],
    "files": [{"bucket": "shop-env", "keys": ["*.env"]}, {"bucket": "base-env", "keys": ["web.env", "prod/*"]}],
    "environments": ["dev", "prod"],
}
CLUSTERS = ["shop-dev", "shop-prod"]
# What everything, and not only a list of its own, may be.
ANY = {
    "repositories": ["*"],
    "parameters": ["*"],
    "secret_names": ["*"],
    "files": [{"bucket": "shop-env", "keys": ["*"]}],
    "environments": [],
}


def _rules(stage: Stage) -> list[dict[str, dict]]:
    """The rules that the module has for each size of its lists, and for everything."""
    fixed = {"account": stage.account, "region": REGION, "partition": "aws", "triggers": dict.fromkeys(TRIGGERS, True)}
    sizes = [{name: values[:size] for name, values in NAMED.items()} for size in SIZES]
    given = [
        {**fixed, **lists, "clusters": CLUSTERS[:clusters]} for lists, clusters in itertools.product((*sizes, ANY), (1, 2))
    ]
    return terraform.rendered(stage.folder, "patterns", "rules", given)


def each_pattern_of_the_module_is_one_that_eventbridge_takes(stage: Stage) -> None:
    stage.with_rollouts()
    stage.endpoints["AWS_ENDPOINT_URL_EVENTS"] = stage.world.url
    both = (stage.events, stage.client("events"))
    rendered = _rules(stage)
    assert len({name for rules in rendered for name in rules}) == len(TRIGGERS) + 1, "a trigger has no rule"
    patterns = sorted({rule["pattern"] for rules in rendered for rule in rules.values()})
    assert len(patterns) > 40, patterns
    for pattern in patterns:
        for events in both:
            events.put_rule(Name="rule", EventPattern=pattern)
    # That both refuse what there is to refuse.
    alone = {"source": ["aws.s3"], "detail": {"$or": [{"bucket": {"name": ["shop-env"]}}]}}
    for pattern in (alone, {"source": []}, {"detail": {}}, {"detail": {"name": [{"wildcard": "a**"}]}}):
        for events in both:
            try:
                events.put_rule(Name="rule", EventPattern=json.dumps(pattern))
            except ClientError as error:
                assert error.response["Error"]["Code"] == "InvalidEventPatternException", (pattern, error)
                continue
            raise AssertionError(f"{pattern} was taken by {events.meta.endpoint_url}")
