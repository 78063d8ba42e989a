"""What was set aside is listed without taking it, and put back by those who look after it."""

import json
import signal
import subprocess
from datetime import datetime, timedelta, timezone

import events
from daemon import Daemon, Tool
from gate import Gate
from processes import until
from stage import CHANGING, Stage, short

NOBODY_HAS_IT = "sha256:" + "b" * 64


def what_failed_for_a_reason_since_mended_succeeds_without_force(stage: Stage) -> None:
    daemon, api = _fails_to_pull(stage)
    stage.push("api", "v2")
    stage.forget()
    done = daemon.answer("replay", "--all")
    assert (done["selected"], done["replayed"]) == (1, 1), done
    (mended,) = stage.finished(daemon, outcome="succeeded")
    stage.rest(daemon)
    assert mended["version"] == done["letters"][0]["version"], "it keeps its order"
    assert api.image() == stage.image("api", "v2") and api.is_steady()
    assert len(stage.updates()) == 1 and stage.no_dead_letters()
    assert daemon.metric("lockkeeper_replays_total", result="reality") == 1
    assert daemon.metric("lockkeeper_replays_total") == 1


def what_fails_again_is_set_aside_again_as_the_same_letter(stage: Stage) -> None:
    daemon, api = _fails_to_pull(stage)
    (before,) = daemon.answer("dead-letters")["letters"]
    assert daemon.answer("replay", "--id", before["id"])["replayed"] == 1
    stage.handled(daemon, 2, trigger="image_pushed", result="set_aside")
    stage.rest(daemon)
    (after,) = daemon.answer("dead-letters")["letters"]
    assert after["id"] == before["id"] and after["time"] > before["time"], (before, after)
    assert after["version"] == before["version"] and after["copies"] == 1, (before, after)
    assert len(stage.updates()) == 2 and api.image() == stage.image("api", "v1")
    assert daemon.metric("lockkeeper_replays_total", result="set_aside") == 1


def an_old_failure_is_superseded_by_newer_content(stage: Stage) -> None:
    daemon, api = _fails_and_is_overtaken(stage)
    assert daemon.answer("replay", "--target", "api")["replayed"] == 1
    (old,) = stage.finished(daemon, outcome="superseded")
    stage.rest(daemon)
    assert not stage.calls("UpdateService", "RegisterTaskDefinition"), old
    assert api.image() == stage.image("api", "v3") and stage.no_dead_letters()


def an_old_failure_is_deployed_over_newer_content_where_that_is_forced(stage: Stage) -> None:
    daemon, api = _fails_and_is_overtaken(stage)
    assert daemon.answer("replay", "--target", "api", "--force")["replayed"] == 1
    (forced,) = [it for it in stage.finished(daemon, 3) if it["outcome"] == "succeeded"][1:]
    stage.rest(daemon)
    assert api.image() == stage.image("api", "v2") and api.is_steady(), forced
    assert len(stage.updates()) == 1 and stage.no_dead_letters()
    # What was forced is the newest decision: what was asked for before it does not come back.
    stage.put(events.push("api", "v4", stage.push("api", "v4")))
    stage.finished(daemon, 4)
    stage.rest(daemon)
    assert api.image() == stage.image("api", "v4")


def a_forced_replay_is_not_outranked_by_the_policy_of_its_target(stage: Stage) -> None:
    stage.queues()
    stage.with_rollouts()
    api = stage.service(image=stage.image("api", "1.0.0"))
    daemon = stage.run(stage.target(on_push="pin", tags="semver:*"))
    stage.put(events.push("api", "1.1.0", NOBODY_HAS_IT))
    stage.finished(daemon)
    stage.put(events.push("api", "2.0.0", stage.push("api", "2.0.0")))
    stage.finished(daemon, 2)
    stage.push("api", "1.1.0")
    stage.rest(daemon)
    daemon.answer("replay", "--all", "--force")
    stage.finished(daemon, 3)
    stage.rest(daemon)
    assert api.image() == stage.image("api", "1.1.0") and api.is_steady()


def a_replay_reaches_only_the_target_that_failed(stage: Stage) -> None:
    stage.queues()
    stage.with_rollouts()
    stage.service("api")
    stage.service("web", breaker="stop")
    daemon = stage.run(*(stage.target(name, parameters=["/prod/shop/shared"]) for name in ("api", "web")))
    stage.push("web", "latest", "crash")
    stage.put(events.parameter("/prod/shop/shared"))
    stage.finished(daemon, 2)
    stage.rest(daemon)
    stage.push("web", "latest")
    stage.forget()
    (would,) = daemon.answer("replay", "--target", "web", "--dry-run")["letters"]
    assert would["reaches"] == ["web"] and would["would"]["targets"][0]["would"], would
    assert daemon.answer("replay", "--target", "api")["selected"] == 0
    assert daemon.answer("replay", "--target", "web")["replayed"] == 1
    ended = stage.finished(daemon, 3)
    stage.rest(daemon)
    assert ended[-1]["outcome"] == "succeeded" and ended[-1]["target"].endswith("/web"), ended
    assert [short(it["service"]) for it in stage.updates()] == ["web"]


def a_dry_run_says_what_would_follow_and_changes_nothing(stage: Stage) -> None:
    daemon, _ = _fails_to_pull(stage)
    stage.forget()
    told = daemon.command("replay", "--all", "--dry-run")
    assert told.returncode == 0 and "would a new revision of the running definition" in told.stdout, told
    assert "1 letter would be put back." in told.stdout, told.stdout
    done = daemon.answer("replay", "--all", "--dry-run")
    assert (done["replayed"], done["letters"][0]["fate"]) == (0, "would_replay"), done
    assert stage.set_aside() == (1, 0) and stage.messages() == 0 and not stage.calls(*CHANGING)


def a_replay_says_of_which_letters_nothing_follows_any_more(stage: Stage) -> None:
    daemon, _ = _fails_to_pull(stage)
    daemon.signal(signal.SIGTERM)
    assert daemon.ends_within(20) == 0
    target = stage.target(repositories=["web"])
    tool = stage.tool(target)
    nothing = "nothing follows, and the message is deleted"
    rehearsed = tool.command("replay", "--all", "--dry-run")
    assert nothing in rehearsed.stdout and "1 letter would be put back." in rehearsed.stdout, rehearsed
    told = tool.command("replay", "--all")
    assert told.returncode == 0 and f": put back: {nothing}" in told.stdout, told
    assert "1 letter put back." in told.stdout, told
    daemon = stage.run(target)
    stage.rest(daemon)
    assert stage.messages() == 0 and stage.no_dead_letters(), "as it was said"


def two_requests_with_one_event_id_are_two_letters(stage: Stage) -> None:
    stage.queues()
    stage.with_rollouts()
    stage.service("api")
    daemon = stage.run(stage.target())
    bodies = [stage.body(events.deploy("api", tag=tag), "same") for tag in ("nope-1", "nope-2")]
    for count, body in enumerate(bodies, 1):
        stage.send(body)
        stage.finished(daemon, count)
        stage.rest(daemon)
    letters = daemon.answer("dead-letters")["letters"]
    assert [it["copies"] for it in letters] == [1, 1] and letters[0]["id"] != letters[1]["id"], letters
    assert daemon.answer("replay", "--id", letters[0]["id"])["replayed"] == 1
    stage.finished(daemon, 3)
    stage.rest(daemon)
    left = {it["event"]["meaning"] for it in daemon.answer("dead-letters")["letters"]}
    assert left >= {letters[1]["event"]["meaning"]}, left


def looking_takes_nothing(stage: Stage) -> None:
    stage.queues()
    tool = stage.tool(stage.target())
    count = 257
    for start in range(0, count, 10):
        numbers = range(start, min(start + 10, count))
        entries = [{"Id": str(it), "MessageBody": stage.body(events.deploy("api"), f"e-{it}")} for it in numbers]
        stage.sqs.send_message_batch(QueueUrl=stage.dead_url, Entries=entries)
    for _ in range(2):
        listing = tool.answer("dead-letters")
        assert listing["whole"] and len(listing["letters"]) == count, len(listing["letters"])
        assert len({it["id"] for it in listing["letters"]}) == count
        assert stage.set_aside() == (count, 0), stage.set_aside()
    some = tool.answer("dead-letters", "--limit", "7")
    assert len(some["letters"]) == 7 and not some["whole"], some
    assert stage.set_aside() == (count, 0), stage.set_aside()
    listed = tool.command("dead-letters", "--id", "nobody")
    assert (listed.returncode, listed.stdout) == (0, "0 letters.\n"), listed


def what_sqs_moved_is_listed_and_put_back(stage: Stage) -> None:
    stage.queues()
    stage.with_rollouts()
    api = stage.service()
    policy = {"deadLetterTargetArn": stage.arn("sqs", f"{stage.cluster}-dead"), "maxReceiveCount": 1}
    attributes = {"RedrivePolicy": json.dumps(policy)}
    stage.sqs.set_queue_attributes(QueueUrl=stage.queue_url, Attributes=attributes)
    stage.push("api", "latest")
    stage.send(stage.body(events.deploy("api"), "too-often"))

    def is_moved() -> bool:
        stage.sqs.receive_message(QueueUrl=stage.queue_url, VisibilityTimeout=0)
        return stage.set_aside() == (1, 0)

    until("SQS has moved it", is_moved)
    policy["maxReceiveCount"] = 100
    attributes = {"RedrivePolicy": json.dumps(policy)}
    stage.sqs.set_queue_attributes(QueueUrl=stage.queue_url, Attributes=attributes)
    daemon = stage.run(stage.target())
    (letter,) = daemon.answer("dead-letters")["letters"]
    assert letter["put_by"] == "sqs" and letter["reaches"] == ["api"], letter
    assert letter["target"] is None and letter["event"]["id"] == "too-often", letter
    assert daemon.answer("replay", "--target", "api")["replayed"] == 1
    (deployment,) = stage.finished(daemon)
    stage.rest(daemon)
    assert deployment["outcome"] == "succeeded" and deployment["version"] == letter["version"], deployment
    assert len(stage.updates()) == 1 and api.is_steady() and stage.no_dead_letters()


def what_eventbridge_could_not_deliver_is_listed_and_put_back(stage: Stage) -> None:
    stage.queues()
    stage.with_rollouts()
    stage.service()
    told = {
        "RULE_ARN": stage.arn("events", "rule/shop/requests"),
        "TARGET_ARN": stage.arn("sqs", stage.cluster),
        "ERROR_CODE": "NO_PERMISSIONS",
        "ERROR_MESSAGE": "no access to the queue",
    }
    attributes = {name: {"DataType": "String", "StringValue": value} for name, value in told.items()}
    body = stage.body(events.deploy("api"), "undelivered")
    stage.sqs.send_message(QueueUrl=stage.dead_url, MessageBody=body, MessageAttributes=attributes)
    daemon = stage.run(stage.target())
    (letter,) = daemon.answer("dead-letters")["letters"]
    assert letter["put_by"] == "eventbridge" and "NO_PERMISSIONS" in letter["reason"], letter
    assert daemon.answer("replay", "--id", letter["id"])["replayed"] == 1
    (deployment,) = stage.finished(daemon)
    stage.rest(daemon)
    assert deployment["outcome"] == "succeeded" and deployment["version"] == letter["version"], deployment
    assert stage.no_dead_letters()


def what_nobody_understands_is_put_back_by_its_id_alone(stage: Stage) -> None:
    stage.queues()
    stage.with_rollouts()
    daemon = stage.run(stage.target())
    stage.send("deploy api please")
    until("it is set aside", lambda: stage.set_aside() == (1, 0))
    done = daemon.answer("replay", "--all")
    assert (done["replayed"], done["letters"][0]["fate"]) == (0, "left"), done
    (letter,) = daemon.answer("dead-letters")["letters"]
    assert letter["result"] == "comes_back" and letter["event"]["trigger"] == "malformed", letter
    assert daemon.answer("replay", "--id", letter["id"])["replayed"] == 1
    stage.handled(daemon, 2, trigger="malformed", result="set_aside")
    (again,) = daemon.answer("dead-letters")["letters"]
    assert again["id"] == letter["id"] and again["copies"] == 1, again


def killed_between_sending_and_deleting_what_runs_already_is_left(stage: Stage) -> None:
    daemon, api = _fails_to_pull(stage)
    stage.push("api", "v2", digest=NOBODY_HAS_IT)
    stage.forget()
    _is_killed_between_sending_and_deleting(stage, stage.target(on_push="pin"))
    stage.finished(daemon, outcome="succeeded")
    stage.rest(daemon)
    assert stage.set_aside() == (1, 0), "it was sent, and not deleted"
    assert daemon.answer("replay", "--all")["replayed"] == 1
    stage.finished(daemon, outcome="already_running")
    stage.rest(daemon)
    assert len(stage.updates()) == 1 and daemon.metric("lockkeeper_replays_total", result="reality") == 2
    assert api.image() == stage.image("api", "v2") and stage.no_dead_letters()


def two_copies_of_a_letter_start_one_rollout(stage: Stage) -> None:
    stage.queues()
    stage.with_rollouts()
    api = stage.service(breaker="stop")
    target = stage.target(parameters=["/prod/shop/key"])
    daemon = stage.run(target)
    stage.push("api", "latest", "crash")
    stage.put(events.parameter("/prod/shop/key"))
    stage.finished(daemon)
    stage.rest(daemon)
    daemon.signal(signal.SIGTERM)
    assert daemon.ends_within(15) == 0
    stage.push("api", "latest")
    stage.forget()
    _is_killed_between_sending_and_deleting(stage, target)
    assert daemon.answer("replay", "--all")["replayed"] == 1
    assert stage.messages() == 2
    heir = stage.run(target)
    stage.finished(heir, outcome="succeeded")
    until("both are settled", lambda: heir.metric("lockkeeper_replays_total") == 2)
    stage.rest(heir)
    assert len(stage.updates()) == 1 and api.is_steady() and stage.no_dead_letters()


def _is_killed_between_sending_and_deleting(stage: Stage, target: str) -> None:
    gate = Gate(stage.endpoints["AWS_ENDPOINT_URL"], "DeleteMessageBatch")
    tool = stage.tool(target, environment={"AWS_ENDPOINT_URL_SQS": gate.url})
    replay = tool.start(stage.folder / "killed.log", "replay", "--all")
    until("it is about to delete what it sent", lambda: gate.held)
    replay.kill()
    replay.wait()
    # What it held is hidden for two minutes more: nobody wants to wait for that.
    for entry in gate.held[0]["Entries"]:
        stage.sqs.change_message_visibility(
            QueueUrl=stage.dead_url, ReceiptHandle=entry["ReceiptHandle"], VisibilityTimeout=0
        )
    gate.close()


def interrupted_it_loses_nothing_and_hides_nothing(stage: Stage) -> None:
    tool, count = _letters(stage, 20)
    output = stage.folder / "interrupted.json"
    replay = tool.start(output, "replay", "--all", "--rate", "2/s", "--output", "json")
    until("some are put back", lambda: stage.messages() >= 2)
    replay.send_signal(signal.SIGINT)
    assert replay.wait(10) == 1
    answer = json.loads(output.read_text())
    assert answer["interrupted"] and 2 <= answer["replayed"] < count, answer
    assert stage.messages() == answer["replayed"], answer
    assert stage.set_aside() == (count - answer["replayed"], 0), answer
    rest = tool.answer("replay", "--all", "--rate", "1000/s")
    assert rest["replayed"] == count - answer["replayed"] and stage.no_dead_letters(), rest
    assert stage.messages() == count


def two_replays_at_once_put_each_letter_back_once(stage: Stage) -> None:
    tool, count = _letters(stage, 60)
    outputs = [stage.folder / f"replay-{it}.json" for it in (1, 2)]
    words = ("replay", "--all", "--rate", "100/s", "--output", "json")
    both: list[subprocess.Popen] = [tool.start(output, *words) for output in outputs]
    assert [replay.wait(40) for replay in both] == [0, 0]
    answers = [json.loads(output.read_text()) for output in outputs]
    replayed = [it["id"] for answer in answers for it in answer["letters"] if it["fate"] == "replayed"]
    assert sorted(replayed) == sorted(set(replayed)), "a letter was put back twice"
    rest = tool.answer("replay", "--all", "--rate", "1000/s")
    assert len(replayed) + rest["replayed"] == count and stage.no_dead_letters(), rest
    assert stage.messages() == count


def a_letter_in_two_messages_is_put_back_once(stage: Stage) -> None:
    tool, _ = _letters(stage, 1, copies=2)
    (letter,) = tool.answer("dead-letters")["letters"]
    assert letter["copies"] == 2, letter
    done = tool.answer("replay", "--all")
    assert (done["selected"], done["replayed"]) == (1, 1), done
    assert stage.messages() == 1 and stage.no_dead_letters()


def an_id_that_no_letter_has_is_told(stage: Stage) -> None:
    tool, _ = _letters(stage, 1)
    done = tool.answer("replay", "--id", "nobody", code=1)
    assert done["missing"] == ["nobody"] and done["replayed"] == 0, done
    assert stage.set_aside() == (1, 0)


def a_target_that_nobody_knows_is_told_and_one_without_letters_is_not(stage: Stage) -> None:
    _letters(stage, 1)
    targets = [stage.target("web"), stage.target("mail")]
    discovery = '[discovery]\nclusters = ["*"]\n'
    for more, code, told in (([], 1, ""), ([discovery], 0, "; of what discovery finds")):
        tool = stage.tool(*targets, *more)
        for command in (["dead-letters"], ["replay", "--dry-run"]):
            done = tool.command(*command, "--target", "nobody", seconds=60)
            assert done.returncode == code, (command, done)
            assert f"no target is called `nobody`; known are web, mail{told}" in done.stderr, done
            for known, count in (("web", 0), ("api", 1), (f"{stage.account}/eu-west-1/{stage.cluster}/api", 1)):
                assert len(tool.answer(*command, "--target", known)["letters"]) == count, (command, known)
    assert stage.set_aside() == (1, 0)


def a_queue_that_cannot_be_sent_to_keeps_every_letter(stage: Stage) -> None:
    _, count = _letters(stage, 5)
    gate = Gate(stage.endpoints["AWS_ENDPOINT_URL"], refused="SendMessage")
    tool = stage.tool(stage.target(), environment={"AWS_ENDPOINT_URL_SQS": gate.url})
    done = tool.answer("replay", "--all", code=1)
    gate.close()
    assert {it["fate"] for it in done["letters"]} == {"failed"} and done["replayed"] == 0, done
    assert "AccessDenied" in done["letters"][0]["why"], done
    assert stage.set_aside() == (count, 0) and stage.messages() == 0


def a_dead_letter_queue_that_moves_letters_on_is_not_looked_at(stage: Stage) -> None:
    tool, count = _letters(stage, 3)
    further = stage.sqs.create_queue(QueueName=f"{stage.cluster}-further")["QueueUrl"]
    policy = {"deadLetterTargetArn": stage.arn("sqs", f"{stage.cluster}-further"), "maxReceiveCount": 3}
    attributes = {"RedrivePolicy": json.dumps(policy)}
    stage.sqs.set_queue_attributes(QueueUrl=stage.dead_url, Attributes=attributes)
    for words in (("dead-letters",), ("replay", "--all")):
        refused = tool.command(*words)
        assert refused.returncode == 1 and "after 3 receives" in refused.stderr, refused
    assert stage.set_aside() == (count, 0)
    assert len(tool.answer("dead-letters", "--despite-redrive")["letters"]) == count
    names = ["ApproximateNumberOfMessages"]
    moved = stage.sqs.get_queue_attributes(QueueUrl=further, AttributeNames=names)["Attributes"]
    assert moved == {"ApproximateNumberOfMessages": "0"}, moved


def _fails_to_pull(stage: Stage) -> tuple[Daemon, object]:
    """A push of an image that the registry does not have is set aside."""
    stage.queues()
    stage.with_rollouts()
    api = stage.service(image=stage.image("api", "v1"))
    daemon = stage.run(stage.target(on_push="pin"))
    stage.put(events.push("api", "v2", NOBODY_HAS_IT))
    (deployment,) = stage.finished(daemon)
    assert (deployment["outcome"], deployment["cause"]) == ("rolled_back", "image_pull"), deployment
    stage.rest(daemon)
    return daemon, api


def _fails_and_is_overtaken(stage: Stage) -> tuple[Daemon, object]:
    """The same, mended since; but a newer image was deployed before anybody looked."""
    daemon, api = _fails_to_pull(stage)
    # Event times are whole seconds.
    until("a second has passed", lambda: _is_past_second(daemon))
    stage.put(events.push("api", "v3", stage.push("api", "v3")))
    stage.finished(daemon, outcome="succeeded")
    stage.rest(daemon)
    stage.push("api", "v2")
    stage.forget()
    return daemon, api


def _is_past_second(daemon: Daemon) -> bool:
    """Whether a later second has begun than that in which the newest deployment was asked for."""
    asked = datetime.fromisoformat(daemon.deployments()[0]["version"])
    return datetime.now(timezone.utc) > asked + timedelta(seconds=1)


def _letters(stage: Stage, count: int, copies: int = 1) -> tuple[Tool, int]:
    """So many letters of ours, and nobody who receives what is put back."""
    stage.queues()
    for number in range(count):
        values = {
            "id": f"letter-{number}",
            "target": f"{stage.account}/eu-west-1/{stage.cluster}/api",
            "version": "2026-11-01T12:00:00Z",
            "time": "2026-11-01T12:10:00Z",
            "outcome": "failed",
            "cause": "timeout",
            "reason": "no progress",
        }
        attributes = {
            f"lockkeeper.{name}": {"DataType": "String", "StringValue": value} for name, value in values.items()
        }
        body = stage.body(events.deploy("api"), f"e-{number}")
        for _ in range(copies):
            stage.sqs.send_message(QueueUrl=stage.dead_url, MessageBody=body, MessageAttributes=attributes)
    return stage.tool(stage.target()), count
