"""What IAM answers to a call: whether statements that allow something allow this action, on this resource, in this context.

Only what our policies are written in: `Allow`, lists and single words, `*` and `?`, and the operators below. Anything else is an
error, so that a policy which says more than is understood here is never taken for one that allows.
"""

import re
from collections.abc import Callable, Iterable


def matches(pattern: str, text: str) -> bool:
    """Whether `*` (anything, also nothing, also `/` and `:`) and `?` (one character) make the pattern the text."""
    expression = "".join({"*": ".*", "?": "."}.get(it, re.escape(it)) for it in pattern)
    return re.fullmatch(expression, text, re.DOTALL) is not None


def matches_arn(pattern: str, arn: str) -> bool:
    """The same for each of an ARN's six parts by itself."""
    parts, given = pattern.split(":", 5), arn.split(":", 5)
    return len(parts) == len(given) == 6 and all(matches(*pair) for pair in zip(parts, given, strict=True))


OPERATORS: dict[str, Callable[[str, str], bool]] = {
    "StringEquals": lambda wanted, given: wanted == given,
    "StringLike": matches,
    # The two are one.
    "ArnEquals": matches_arn,
    "ArnLike": matches_arn,
}


def allows(statements: Iterable[dict], action: str, resource: str, context: dict[str, list[str]]) -> bool:
    """Whether one of the statements allows it."""
    return any(_allows(it, action, resource, context) for it in statements)


def _allows(statement: dict, action: str, resource: str, context: dict[str, list[str]]) -> bool:
    unknown = set(statement) - {"Sid", "Effect", "Action", "Resource", "Condition"}
    assert not unknown and statement["Effect"] == "Allow", f"not understood: {statement}"
    return (
        any(matches(it.lower(), action.lower()) for it in _list(statement["Action"]))
        and any(it == "*" or matches_arn(it, resource) for it in _list(statement["Resource"]))
        and all(_holds(*it, context) for it in (statement.get("Condition") or {}).items())
    )


def _holds(operator: str, wanted: dict[str, object], context: dict[str, list[str]]) -> bool:
    quantifier, _, name = operator.rpartition(":")
    assert name in OPERATORS and quantifier in ("", "ForAllValues"), f"not understood: {operator}"
    for key, values in wanted.items():
        given = context.get(key, [])
        fits = [any(OPERATORS[name](value, it) for value in _list(values)) for it in given]
        # What is not given fails, but for ForAllValues, to which nothing is all.
        if not all(fits) or (not given and not quantifier):
            return False
    return True


def _list(one_or_more: object) -> list[str]:
    return [one_or_more] if isinstance(one_or_more, str) else list(one_or_more)
