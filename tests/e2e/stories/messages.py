"""What the queue may bring that is no event: set aside with the reason, and the process lives."""

import json

import events
from stage import CHANGING, Stage

# SQS takes no more than this, attributes counted.
LARGEST_BYTES = 1 << 20


def what_is_not_json_is_set_aside_with_the_reason(stage: Stage) -> None:
    letter = _is_set_aside(stage, "deploy api please")
    assert letter["body"] == "deploy api please"


def an_event_without_what_it_needs_is_set_aside_with_the_reason(stage: Stage) -> None:
    event = events.Event("action.deploy", "DEPLOY", {"reason": "which one?"})
    letter = _is_set_aside(stage, json.dumps({"source": event.source, "detail-type": "DEPLOY", "detail": event.detail}))
    assert "service" in letter["reason"], letter


def a_nesting_bomb_is_set_aside(stage: Stage) -> None:
    _is_set_aside(stage, '{"source": "aws.ecr", "detail-type": "x", "detail": ' + "[" * 200_000 + "]" * 200_000 + "}")


def a_number_beyond_all_bounds_is_set_aside_or_ignored(stage: Stage) -> None:
    stage.queues()
    stage.with_rollouts()
    stage.service()
    daemon = stage.run(stage.target())
    body = json.loads(stage.body(events.deploy("api"), "huge"))
    stage.send(json.dumps(body).replace('"api"', "1e999999"))
    (letter,) = stage.dead_letters()
    assert letter["reason"], letter
    stage.rest(daemon)
    assert not stage.calls(*CHANGING)


def a_body_of_one_mebibyte_is_set_aside(stage: Stage) -> None:
    letter = _is_set_aside(stage, "x" * LARGEST_BYTES)
    assert letter["body"].startswith("xxxx")


def an_event_as_large_as_can_be_is_deployed(stage: Stage) -> None:
    stage.queues()
    stage.with_rollouts()
    stage.service()
    daemon = stage.run(stage.target())
    frame = stage.body(events.deploy("api", note=""), "large")
    stage.send(frame.replace('"note": ""', '"note": "' + "n" * (LARGEST_BYTES - len(frame)) + '"'))
    (deployment,) = stage.finished(daemon)
    stage.rest(daemon)
    assert deployment["outcome"] == "succeeded" and len(stage.updates()) == 1, deployment


def an_event_as_large_as_can_be_that_fails_is_set_aside_with_what_a_replay_needs(stage: Stage) -> None:
    stage.queues()
    stage.with_rollouts()
    stage.service()
    daemon = stage.run(stage.target())
    frame = stage.body(events.deploy("api", tag="nope", note=""), "large")
    stage.send(frame.replace('"note": ""', '"note": "' + "n" * (LARGEST_BYTES - len(frame)) + '"'))
    (deployment,) = stage.finished(daemon)
    stage.rest(daemon)
    (letter,) = stage.dead_letters()
    assert letter["target"] == deployment["target"] and letter["version"] == deployment["version"], letter.keys()
    assert (letter["outcome"], letter["cause"]) == (deployment["outcome"], "image_pull"), deployment
    event = json.loads(letter["body"])
    assert (event["id"], event["detail"]["tag"]) == ("large", "nope"), event.keys()


def an_event_in_an_sns_notification_is_understood(stage: Stage) -> None:
    stage.queues()
    stage.with_rollouts()
    stage.service()
    daemon = stage.run(stage.target())
    event = stage.body(events.push("api", "latest", stage.push("api", "latest")), "wrapped")
    stage.send(json.dumps({"Type": "Notification", "MessageId": "m", "TopicArn": "arn:aws:sns:x", "Message": event}))
    (deployment,) = stage.finished(daemon)
    stage.rest(daemon)
    assert deployment["outcome"] == "succeeded" and len(stage.updates()) == 1, deployment


def an_event_of_an_account_that_is_not_allowed_is_refused(stage: Stage) -> None:
    stage.queues()
    stage.with_rollouts()
    stage.service()
    daemon = stage.run(stage.target())
    body = json.loads(stage.body(events.deploy("api"), "foreign"))
    stage.send(json.dumps({**body, "account": "999999999999"}))
    stage.handled(daemon, 1, trigger="deploy_requested", result="nothing_asked")
    stage.rest(daemon)
    assert not stage.calls(*CHANGING) and daemon.says("account 999999999999 is not allowed")


def _is_set_aside(stage: Stage, body: str) -> dict:
    """Sends a body that nobody can understand, and then an event that shows that the process lives."""
    stage.queues()
    stage.with_rollouts()
    stage.service()
    daemon = stage.run(stage.target())
    stage.send(body)
    (letter,) = stage.dead_letters()
    assert letter["reason"] and letter["id"] and "target" not in letter, letter.keys()
    stage.handled(daemon, 1, trigger="malformed", result="set_aside")
    stage.put(events.deploy("api"))
    (deployment,) = stage.finished(daemon)
    stage.rest(daemon)
    assert deployment["outcome"] == "succeeded", deployment
    return letter
