"""Least privilege, as far as AWS lets it be said: held against the table of its actions that policy_sentry brings along.

A statement on `*` has only actions that take no resource, or none that there is; every condition is one that AWS
knows for each action of its statement; and actions and resources of a template's statement fit each other.
"""

import fnmatch
import re
import sys
from pathlib import Path

from policy_sentry.querying.actions import get_action_data

TESTS = Path(__file__).resolve().parents[1]
DEPLOY = TESTS.parent / "deploy"
sys.path.insert(0, str(TESTS / "deploy"))

from templates import load, of_type  # noqa: E402, from the folder of this one

STATEMENT = re.compile(r'^( *)\{\n(?: *#[^\n]*\n)* *Sid += "(\w+)"\n(.*?)^\1\},?$', re.DOTALL | re.MULTILINE)
# Takes container instances, of which Fargate has none: a condition narrows it.
NARROWED = {"ecs:ListTasks"}
# Of every request, whatever it asks for.
GLOBAL = re.compile("aws:(?!ResourceTag|RequestTag|TagKeys)")


def known(action: str) -> list[dict]:
    """What AWS knows of an action: a row for each kind of resource that it takes, and one for none."""
    service, _, name = action.partition(":")
    rows = get_action_data(service, name)
    assert rows, f"AWS has no action {action}"
    return rows[service]


def modules() -> list[tuple[str, list[str], bool, list[str]]]:
    """The statements of the Terraform modules: where, the actions, whether they are on `*`, the keys of conditions."""
    found = []
    for path in sorted(DEPLOY.glob("terraform/**/*.tf")):
        for _, sid, body in STATEMENT.findall(path.read_text()):
            if "Principal" in body:
                continue
            actions = re.findall(r'"([a-z0-9-]+:[A-Z]\w+)"', re.search(r"Action += (\[[^\]]*\]|\S+)", body)[1])
            everything = '"*"' in re.search(r"Resource += (.*)", body)[1]
            keys = re.findall(r'"([a-z]+:[A-Za-z]+)" =', body.partition("Condition")[2])
            found.append((f"{path.relative_to(DEPLOY)}: {sid}", actions, everything, keys))
    return found


def templates() -> list[tuple[str, list[str], list[str]]]:
    """The statements of the CloudFormation templates: where, the actions, the resources as far as they are written out."""
    found = []
    for name in ("lockkeeper.yaml", "archive.yaml"):
        resources = load(name)
        policies = of_type(resources, "AWS::IAM::Policy") + [p for r in of_type(resources, "AWS::IAM::Role") for p in r.get("Policies", [])]
        for statement in [it for policy in policies for it in policy["PolicyDocument"]["Statement"] if isinstance(it, dict)]:
            # One that depends on a parameter is the second of three: `!If [Condition, {…}, !Ref AWS::NoValue]`.
            statement = statement["If"][1] if "If" in statement else statement
            actions = statement["Action"] if isinstance(statement["Action"], list) else [statement["Action"]]
            resource = statement["Resource"] if isinstance(statement["Resource"], list) else [statement["Resource"]]
            shapes = [it if isinstance(it, str) else it["Sub"] for it in resource if isinstance(it, str) or isinstance(it.get("Sub"), str)]
            found.append((f"{name}: {statement.get('Sid', actions[0])}", actions, shapes))
    return found


def fits(resource: str, shape: str) -> bool:
    """Whether an ARN can be one of this shape. What is filled in later may be anything, and `*` several parts of a path."""
    anything = re.sub(r"\$\{[^}]*\}", "*", shape)
    given = re.sub(r"\$\{[^}]*\}", "x", resource)
    return shape == "*" or any(fnmatch.fnmatchcase(given.replace("*", it), anything) for it in ("x", "x/x"))


def check_modules() -> int:
    """`*` only where there is no less, and conditions that count."""
    found = modules()
    for where, actions, everything, keys in found:
        for action in actions:
            rows = known(action)
            takes = [it["resource_arn_format"] for it in rows if it["resource_arn_format"] != "*"]
            assert not everything or not takes or (keys and action in NARROWED), f"{where}: {action} is on `*`, and takes {takes}"
            conditions = {re.sub(r"\$\{.*", "", key) for it in rows for key in it["condition_keys"]}
            for key in keys:
                assert GLOBAL.match(key) or key in conditions, f"{where}: {action} does not know {key}: {sorted(conditions)}"
    return len(found)


def check_templates() -> int:
    """Resources of the shapes that the actions take."""
    found = templates()
    for where, actions, resources in found:
        takes = {it: [row["resource_arn_format"] for row in known(it)] for it in actions}
        for action, shapes in takes.items():
            assert not resources or any(fits(it, shape) for it in resources for shape in shapes), f"{where}: {action} takes {shapes}"
        for resource in resources:
            assert any(fits(resource, it) for shapes in takes.values() for it in shapes), f"{where}: {resource} is taken by none of {actions}"
    return len(found)


if __name__ == "__main__":
    counted = check_modules(), check_templates()
    assert min(counted) > 4 and counted[0] > 25, counted
    print(f"{counted[0]} statements of the modules and {counted[1]} of the templates are on no more than AWS lets them be")
