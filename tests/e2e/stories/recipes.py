"""Each pattern of docs/recipes.md, on a real bus, over events that a daemon really sent."""

import json
import re
from pathlib import Path

import events
from processes import until
from stage import Stage

PAGE = Path(__file__).resolve().parents[3] / "docs/recipes.md"
STARTED, COMPLETED, FAILED = (f"Lockkeeper Deployment {it}" for it in ("Started", "Completed", "Rolled Back"))


def _patterns() -> dict[str, dict]:
    """The patterns by their headings."""
    found = {}
    for section in PAGE.read_text().split("\n## ")[1:]:
        blocks = [json.loads(it) for it in re.findall(r"```json\n(.*?)```", section, re.DOTALL)]
        found |= {section.partition("\n")[0]: it for it in blocks if "source" in it}
    return found


def _listen(stage: Stage, number: int, pattern: dict) -> str:
    """A rule with this pattern, and the queue that gets what it lets through."""
    name = f"{stage.cluster}-recipe-{number}"
    url = stage.sqs.create_queue(QueueName=name)["QueueUrl"]
    stage._rule(f"recipe-{number}", pattern, {"Id": "queue", "Arn": stage.arn("sqs", name)})
    return url


def _received(stage: Stage, url: str) -> set[tuple[str, str]]:
    """What came: the events' detail-types, each with the name of its target."""
    found = set()
    while messages := stage.sqs.receive_message(QueueUrl=url, MaxNumberOfMessages=10).get("Messages"):
        for message in messages:
            event = json.loads(message["Body"])
            found.add((event["detail-type"], event["detail"]["target"]["name"]))
    return found


def each_recipes_pattern_lets_through_what_it_says(stage: Stage) -> None:
    stage.queues()
    stage.with_rollouts()
    patterns = _patterns()
    queues = {name: _listen(stage, number, it) for number, (name, it) in enumerate([*patterns.items(), ("all", {"source": ["lockkeeper"]})])}
    for name in ("api", "web"):
        stage.service(name, image=stage.image(name, "v1"))
    notify = f'[notify.eventbridge]\nenabled = true\nbus = "{stage.bus_name}"\n'
    targets = [stage.target(name, on_push="pin") for name in ("api", "web")]
    # The process starts in the story's folder: `LOCKKEEPER_ENV` asks for a file there.
    (stage.folder / "config").mkdir()
    (stage.folder / "config/prod.toml").touch()
    daemon = stage.run(notify, *targets, environment={"LOCKKEEPER_ENV": "prod"})
    stage.put(events.push("api", "v2", stage.push("api", "v2")))
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
