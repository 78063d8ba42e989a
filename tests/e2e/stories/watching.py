"""What the Terraform module makes of the log: its metric filters and saved queries, over lines that were really written."""

import json
import re
from pathlib import Path

import events
from filters import Unreadable, compile_filter, value_at
from processes import until
from relay import Relay
from stage import Stage

REPOSITORY = Path(__file__).resolve().parents[3]
MODULE = REPOSITORY / "deploy" / "terraform"

# What no story can have happen: the words are looked for in the source instead.
UNHEARD = {"defects": "which is a defect of Lockkeeper"}


def _filters() -> dict[str, dict]:
    return {it["name"]: it for it in json.loads((MODULE / "metric-filters.json").read_text())}


def _eventful_log(stage: Stage) -> list[dict]:
    """The log of a process that has seen a success, a retry, a failure, what nobody understands, and a silent SQS."""
    stage.queues()
    stage.with_rollouts()
    stage.service(image=stage.image("api", "v1"))
    way = Relay(*stage.port_of(stage.emulator.url))
    stage.endpoints["AWS_ENDPOINT_URL_SQS"] = way.url
    daemon = stage.run(stage.target(on_push="pin"))
    stage.world.fault("UpdateService", "throttle")
    stage.put(events.push("api", "v2", stage.push("api", "v2")))
    stage.finished(daemon, outcome="succeeded")
    stage.put(events.deploy("api", tag="v2"))
    stage.finished(daemon, count=2)
    stage.put(events.push("api", "nope", "sha256:" + "b" * 64))
    stage.finished(daemon, outcome="rolled_back")
    stage.put(events.push("somebody-elses", "v1", "sha256:" + "c" * 64))
    stage.send("deploy api please")
    stage.handled(daemon, 1, trigger="malformed", result="set_aside")
    stage.rest(daemon)
    way.cut()
    until("it is told", lambda: daemon.says("not healthy: intake"), 90)
    way.mend()
    until("it receives again", lambda: daemon.says("receiving again"), 60)
    return daemon.logs()


def each_metric_filter_and_saved_query_finds_what_it_says(stage: Stage) -> None:
    lines = _eventful_log(stage)
    _filters_count(lines)
    _queries_find(lines)


def _filters_count(lines: list[dict]) -> None:
    filters = _filters()
    counted = {name: [line for line in lines if compile_filter(it["pattern"])(line)] for name, it in filters.items()}
    messages = {name: [line["message"] for line in found] for name, found in counted.items()}
    for name, words in UNHEARD.items():
        assert not messages.pop(name), f"{name}: {words}"
        _said_by_the_source(filters[name]["pattern"], words)
    ends = [line["fields"].get("outcome") for line in lines]
    for name in ("succeeded", "superseded", "rolled-back", "not-needed"):
        outcome = {"rolled-back": "rolled_back", "not-needed": "already_running"}.get(name, name)
        assert len(messages.pop(name)) == ends.count(outcome), (name, ends)
    assert ends.count("succeeded") >= 1 and ends.count("rolled_back") == 1, ends
    for name in ("failed", "failed-by-cause"):
        (message,) = messages.pop(name)
        assert message.startswith("deployment failed: "), message
    assert [value_at(line, "$.fields.cause") for line in counted["failed-by-cause"]] == [(True, "image_pull")]
    assert messages.pop("retried") == [it["message"] for it in lines if " retry in " in it["message"]] != []
    # The image that is missing, and what is no event.
    assert len(messages.pop("set-aside")) == 2
    assert len(messages.pop("not-understood")) == 1
    assert set(messages.pop("active")) == {"receiving", "receiving again"}
    unhealthy = messages.pop("unhealthy")
    assert unhealthy == [it["message"] for it in lines if it["message"].startswith("not healthy: ")], unhealthy
    assert any(it.startswith("not healthy: intake") for it in unhealthy), unhealthy
    assert not messages, f"nobody looked at {messages}"


def _queries_find(lines: list[dict]) -> None:
    fields = {f"fields.{name}" for line in lines for name in line["fields"]}
    for query in json.loads((MODULE / "saved-queries.json").read_text()):
        named = set(re.findall(r"\bfields\.[a-z_]+", query["query"]))
        assert named <= fields, f"{query['name']} asks for {named - fields}"
        for expression in re.findall(r"message like /([^/]*)/", query["query"]):
            assert any(re.search(expression, line["message"]) for line in lines), f"{query['name']}: {expression}"


def _said_by_the_source(pattern: str, words: str) -> None:
    """That the words are there, and that the filter takes a line with them."""
    sources = "".join(path.read_text() for path in (REPOSITORY / "src").rglob("*.rs"))
    assert words in sources, words
    assert compile_filter(pattern)({"message": f"promise P1 broken, {words}: two at once", "fields": {}}), pattern


def the_words_of_filters_that_name_several_are_all_said(stage: Stage) -> None:
    """A story hears one alternative of each; that the source has the words of the others is looked up."""
    sources = "".join(path.read_text() for path in (REPOSITORY / "src").rglob("*.rs"))
    for name, it in _filters().items():
        for words in re.findall(r'\$\.message = "([^"]*)"', it["pattern"]):
            assert words.strip("*") in sources, f"{name}: {words}"
        for words in re.findall(r'\$\.fields\.outcome = "([^"]*)"', it["pattern"]):
            assert f'"{words}"' in sources, f"{name}: {words}"


def a_pattern_that_cloudwatch_would_refuse_is_refused(stage: Stage) -> None:
    for pattern in (
        "$.fields.outcome = 1",
        '{ $.fields.outcome == "failed" }',
        '{ $.message = "a * within" }',
        "{ $.fields.outcome }",
        '{ $.message = "open }',
        '{ ($.message = "a" }',
    ):
        try:
            compile_filter(pattern)
        except (Unreadable, IndexError):
            continue
        raise AssertionError(f"{pattern} was taken")
    both = compile_filter('{ $.a = "x" || $.a = "y*" && $.b.c >= 2 }')
    assert [both(it) for it in ({"a": "x"}, {"a": "yes"}, {"a": "yes", "b": {"c": 2}}, {"b": {"c": 3}})] == [
        True,
        False,
        True,
        False,
    ]
