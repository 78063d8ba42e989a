"""Each pattern of docs/recipes.md, on a real bus, over events that a daemon really sent."""

import json
import re
import urllib.request
from pathlib import Path

import events
from daemon import Daemon
from processes import until
from stage import Stage

TOKEN = "recipes-token-0123456789abcdef"
TOKENS = '[[http.tokens]]\nname = "smoke"\nrole = "operate"\nenv = "SMOKE_TOKEN"\n'
PAGE = Path(__file__).resolve().parents[3] / "docs/recipes.md"
STARTED, COMPLETED, FAILED = (f"Lockkeeper Deployment {it}" for it in ("Started", "Completed", "Rolled Back"))


def _patterns() -> dict[str, dict]:
    """The patterns by their headings."""
    found = {}
    for section in PAGE.read_text().split("\n## ")[1:]:
        blocks = [json.loads(it) for it in re.findall(r"```json\n(.*?)```", section, re.DOTALL)]
        found |= {section.partition("\n")[0]: it for it in blocks if "source" in it}
    return found


def _transformer() -> dict:
    """The input transformer of the target that tells a topic."""
    page = PAGE.read_text().partition("input_transformer {")[2].partition("\n  }\n")[0]
    return {
        "InputPathsMap": dict(re.findall(r'(\w+) += "(\$\.[^"]+)"', page)),
        "InputTemplate": json.loads(re.search(r"input_template = (.*)", page)[1]),
    }


def _fields() -> set[str]:
    """The fields of events that the page's state machine and its query name."""
    sections = dict(it.partition("\n")[::2] for it in PAGE.read_text().split("\n## ")[1:])
    query = re.search(r"```\n(.*?)```", sections["Deployments in a dashboard of CloudWatch Logs"], re.DOTALL)[1]
    machines = "".join(it for name, it in sections.items() if name.startswith(("A smoke test", "Approval")))
    return set(re.findall(r"detail(?:\.[a-zA-Z]+)+", query)) | set(re.findall(r"\$\.(detail(?:\.[a-zA-Z]+(?:\[0\])?)*)", machines))


def _approved(event: dict) -> dict:
    """What the state machine that asks for an approval puts on the bus, after ann has approved."""
    section = PAGE.read_text().partition("\n## Approval")[2]
    machine = json.loads(re.search(r"```json\n(.*?)```", section, re.DOTALL)[1])
    (entry,) = machine["States"]["Deploy"]["Parameters"]["Entries"]
    known = {**event, "approval": {"by": "ann"}}
    filled = {name.removesuffix(".$"): _at(known, it[2:]) if name.endswith(".$") else it for name, it in entry["Detail"].items()}
    return {**entry, "Detail": json.dumps(filled)}


def _goes_back(daemon: Daemon, event: dict) -> None:
    """What the state machine does whose test of the new code has failed."""
    section = PAGE.read_text().partition("\n## A smoke test")[2]
    call = json.loads(re.search(r"```json\n(.*?)```", section, re.DOTALL)[1])["States"]["GoBack"]["Parameters"]
    path, field = re.fullmatch(r"States.Format\('https://[^/]+(/.*)', \$\.(.*)\)", call["ApiEndpoint.$"]).groups()
    url = f"http://127.0.0.1:{daemon.port}{path.replace('{}', _at(event, field))}"
    headers = {"Content-Type": "application/json", "Authorization": f"Bearer {TOKEN}"}
    body = json.dumps(call["RequestBody"]).encode()
    with urllib.request.urlopen(urllib.request.Request(url, body, headers, method=call["Method"]), timeout=30) as answer:
        assert answer.status in (200, 202), answer.status


def _listen(stage: Stage, number: int, pattern: dict, **target: dict) -> str:
    """A rule with this pattern, and the queue that gets what it lets through."""
    name = f"{stage.cluster}-recipe-{number}"
    url = stage.sqs.create_queue(QueueName=name)["QueueUrl"]
    stage._rule(f"recipe-{number}", pattern, {"Id": "queue", "Arn": stage.arn("sqs", name), **target})
    return url


def _bodies(stage: Stage, url: str) -> list[str]:
    """What came."""
    found = []
    while messages := stage.sqs.receive_message(QueueUrl=url, MaxNumberOfMessages=10).get("Messages"):
        found += [message["Body"] for message in messages]
    return found


def _received(stage: Stage, url: str) -> set[tuple[str, str]]:
    """What came: the events' detail-types, each with the name of its target."""
    sent = [json.loads(it) for it in _bodies(stage, url)]
    return {(event["detail-type"], event["detail"]["target"]["name"]) for event in sent}


def each_recipes_pattern_lets_through_what_it_says(stage: Stage) -> None:
    stage.queues()
    stage.with_rollouts()
    patterns = _patterns()
    queues = {name: _listen(stage, number, it) for number, (name, it) in enumerate([*patterns.items(), ("all", {"source": ["lockkeeper"]})])}
    told = _listen(stage, 90, patterns["Any failure"], InputTransformer=_transformer())
    whole = _listen(stage, 91, {"source": ["lockkeeper"]})
    for name in ("api", "web"):
        stage.service(name, image=stage.image(name, "v1"))
    notify = f'[notify.eventbridge]\nenabled = true\nbus = "{stage.bus_name}"\n'
    production = stage.service("api-prod", image=stage.image("api", "v1"))
    targets = [stage.target(name, on_push="pin") for name in ("api", "web")]
    targets.append(stage.target("api-prod", repositories=["api"], on_push="ignore"))
    # The process starts in the story's folder: `LOCKKEEPER_ENV` asks for a file there.
    (stage.folder / "config").mkdir()
    (stage.folder / "config/prod.toml").touch()
    daemon = stage.run(notify, TOKENS, *targets, environment={"LOCKKEEPER_ENV": "prod", "SMOKE_TOKEN": TOKEN})
    tested = stage.push("api", "v2")
    stage.put(events.push("api", "v2", tested))
    stage.finished(daemon, outcome="succeeded")
    stage.put(events.push("web", "nope", "sha256:" + "b" * 64))
    stage.finished(daemon, outcome="rolled_back")
    # A rollout that goes back is told last.
    ends = {(STARTED, "api"), (COMPLETED, "api"), (FAILED, "web")}
    everything: set[tuple[str, str]] = set()

    def came() -> bool:
        everything.update(_received(stage, queues["all"]))
        return ends <= everything

    until("the ends are told", came)
    stage.rest(daemon)
    came()
    del queues["all"]
    rollouts = {it for it in everything if it[0] == "Lockkeeper Deployment Rollout Started"}
    wanted = {
        "Any failure": {(FAILED, "web")},
        "One target": {it for it in everything if it[1] == "api"},
        "Production only": everything,
        "One stage": rollouts,
        "New code is live": {(COMPLETED, "api")},
        "A cause": {(FAILED, "web")},
    }
    assert set(wanted) == set(patterns), set(wanted) ^ set(patterns)
    assert len(rollouts) == 2, everything
    for name, expected in wanted.items():
        assert _received(stage, queues[name]) == expected, name
    sent = [json.loads(it) for it in _bodies(stage, whole)]
    (failed,) = (it["detail"] for it in sent if it["detail-type"] == FAILED)
    assert _bodies(stage, told) == [json.dumps(f"web in {stage.cluster} failed: image_pull ({failed['deploymentId']})")]
    for field in _fields():
        assert any(_at(event, field) for event in sent), f"no event has {field}"
    live = next(it for it in sent if it["detail-type"] == COMPLETED)
    _goes_back(daemon, live)
    (back,) = (it for it in stage.finished(daemon, 3) if it.get("rollback"))
    assert back["outcome"] == "succeeded" and back["target"].endswith("api"), back

    def told() -> dict | None:
        return next((it for it in map(json.loads, _bodies(stage, whole)) if it["detail"]["rollback"] and it["detail-type"] == COMPLETED), None)

    until("the way back is told", told)
    assert not _received(stage, queues["New code is live"]), "the way back would be tested, and go back further"
    stage.push("api", "v2")
    stage.events.put_events(Entries=[{**_approved(live), "EventBusName": stage.bus_name}])
    (promoted,) = [it for it in stage.finished(daemon, 4) if it["target"].endswith("api-prod")]
    assert promoted["outcome"] == "succeeded" and "ann" in promoted["triggers"][0]["reason"], promoted
    by_digest = f"{stage.image('api', 'v2').rpartition(':')[0]}@{tested}"
    assert production.image() == by_digest, "its tag has moved on while somebody thought about it"
    assert _bodies(stage, queues["Production only"]), "it is told, too"
    _put_again_from_dev(stage, sent[0])
    assert _received(stage, queues["One target"]) | _received(stage, queues["Any failure"]), "it did not arrive"
    assert not _received(stage, queues["Production only"]), "dev is not production"


def _at(event: dict, field: str) -> object:
    """What stands in a field, by its path: names, and numbers of lists in brackets."""
    for name in re.findall(r"\w+", field):
        event = event[int(name)] if name.isdigit() else event.get(name, {})
    return event


def _put_again_from_dev(stage: Stage, event: dict) -> None:
    """The same event, as another environment would have sent it."""
    event["detail"]["target"]["environment"] = "dev"
    entry = {"Source": event["source"], "DetailType": event["detail-type"], "EventBusName": stage.bus_name}
    put = stage.events.put_events(Entries=[{**entry, "Detail": json.dumps(event["detail"])}])
    assert put["FailedEntryCount"] == 0, put
