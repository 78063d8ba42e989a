"""A rollout fails, or AWS does: the cause is told, and nothing is lost or done twice."""

import json

import events
from processes import until
from stage import Stage, short


def a_broken_image_is_rolled_back_and_set_aside(stage: Stage) -> None:
    stage.queues()
    stage.with_rollouts()
    api = stage.service(image=stage.image("api", "v1"))
    daemon = stage.run(stage.target(on_push="pin"))
    event = events.push("api", "nope", "sha256:" + "b" * 64)
    stage.put(event)
    (deployment,) = stage.finished(daemon)
    assert (deployment["outcome"], deployment["cause"]) == ("rolled_back", "image_pull"), deployment
    assert deployment["evidence"]["stopped_tasks"], deployment
    (letter,) = stage.dead_letters()
    assert letter["outcome"] == "rolled_back" and letter["cause"] == "image_pull", letter
    assert letter["target"] == f"{stage.account}/eu-west-1/{stage.cluster}/api", letter
    assert letter["deployment"] == deployment["id"] and letter["attempts"] == "1", letter
    assert letter["id"] and letter["version"] and letter["time"] and letter["reason"], letter
    assert json.loads(letter["body"])["detail"] == event.detail
    stage.rest(daemon)
    assert len(stage.updates()) == 1, "a broken image is not tried again"
    assert api.image() == stage.image("api", "v1") and api.is_steady()
    (line,) = daemon.says("deployment failed")
    assert line["fields"]["cause"] == "image_pull" and line["fields"]["service"] == "api", line
    assert daemon.metric("lockkeeper_rollout_failures_total", target="api", cause="image_pull") == 1
    assert daemon.metric("lockkeeper_events_total", trigger="image_pushed", result="set_aside") == 1


def a_crash_loop_without_rollback_fails(stage: Stage) -> None:
    stage.queues()
    stage.with_rollouts()
    stage.service(image=stage.image("api", "v1"), breaker="stop")
    daemon = stage.run(stage.target(on_push="pin", rollback=False))
    stage.put(events.push("api", "crash", stage.push("api", "crash")))
    (deployment,) = stage.finished(daemon)
    assert (deployment["outcome"], deployment["cause"]) == ("failed", "crash_loop"), deployment
    (letter,) = stage.dead_letters()
    assert letter["outcome"] == "failed" and letter["cause"] == "crash_loop", letter
    stage.rest(daemon)
    assert len(stage.updates()) == 1, stage.updates()


def a_rollout_that_never_settles_is_a_timeout_and_a_fix_gets_past_it(stage: Stage) -> None:
    stage.queues()
    stage.with_rollouts()
    api = stage.service(image=stage.image("api", "v1"), breaker=None)
    daemon = stage.run(stage.target(on_push="pin", timeout="3s", rollback=False))
    stage.put(events.push("api", "hang", stage.push("api", "hang")))
    (deployment,) = stage.finished(daemon)
    assert (deployment["outcome"], deployment["cause"]) == ("failed", "timeout"), deployment
    stage.dead_letters()
    stage.put(events.push("api", "v2", stage.push("api", "v2")))
    (fixed,) = stage.finished(daemon, outcome="succeeded")
    assert fixed["target"] == deployment["target"], fixed
    assert api.image() == stage.image("api", "v2") and api.is_steady()


def a_fix_does_not_queue_behind_what_it_fixes(stage: Stage) -> None:
    stage.queues()
    stage.with_rollouts()
    # Without a breaker the crashing rollout would go on for ever.
    api = stage.service(image=stage.image("api", "v1"), breaker=None)
    daemon = stage.run(stage.target(on_push="pin"))
    stage.put(events.push("api", "crash", stage.push("api", "crash")))
    until("two tasks have failed", lambda: api.primary()["failedTasks"] >= 2)
    stage.put(events.push("api", "v2", stage.push("api", "v2")))
    (fixed,) = stage.finished(daemon, outcome="succeeded")
    stage.rest(daemon)
    (broken,) = daemon.deployments(outcome="superseded")
    assert api.image() == stage.image("api", "v2") and len(stage.updates()) == 2, (broken, fixed)


def a_message_for_two_targets_is_set_aside_only_for_the_one_that_failed(stage: Stage) -> None:
    stage.queues()
    stage.with_rollouts()
    stage.service("api")
    stage.service("web", breaker="stop")
    targets = [stage.target(name, parameters=["/prod/shop/shared"], rollback=False) for name in ("api", "web")]
    daemon = stage.run(*targets)
    # What web's tag names now cannot run.
    stage.push("web", "latest", "crash")
    stage.put(events.parameter("/prod/shop/shared"))
    outcomes = {it["target"].rsplit("/", 1)[-1]: it["outcome"] for it in stage.finished(daemon, 2)}
    assert outcomes == {"api": "succeeded", "web": "failed"}, outcomes
    (letter,) = stage.dead_letters()
    assert letter["target"].endswith("/web"), letter
    stage.rest(daemon)


def a_replayed_letter_reaches_only_the_target_that_failed(stage: Stage) -> None:
    stage.queues()
    stage.with_rollouts()
    stage.service("api")
    stage.service("web", breaker="stop")
    targets = [stage.target(name, parameters=["/prod/shop/shared"], rollback=False) for name in ("api", "web")]
    daemon = stage.run(*targets)
    stage.push("web", "latest", "crash")
    stage.put(events.parameter("/prod/shop/shared"))
    stage.finished(daemon, 2)
    (letter,) = stage.dead_letters()
    stage.rest(daemon)
    stage.push("web", "latest")
    stage.forget()
    attributes = {
        f"lockkeeper.{name}": {"DataType": "String", "StringValue": value}
        for name, value in letter.items()
        if name != "body"
    }
    stage.sqs.send_message(QueueUrl=stage.queue_url, MessageBody=letter["body"], MessageAttributes=attributes)
    ended = stage.finished(daemon, 3)
    stage.rest(daemon)
    assert ended[-1]["outcome"] == "succeeded" and ended[-1]["target"].endswith("/web"), ended
    assert [short(it["service"]) for it in stage.updates()] == ["web"]


def a_throttled_start_is_tried_again(stage: Stage) -> None:
    stage.queues()
    stage.with_rollouts()
    api = stage.service()
    daemon = stage.run(stage.target())
    stage.world.fault("UpdateService", "throttle")
    stage.put(events.push("api", "latest", stage.push("api", "latest")))
    (deployment,) = stage.finished(daemon)
    stage.rest(daemon)
    assert deployment["outcome"] == "succeeded", deployment
    assert [call["took_effect"] for call in stage.calls("UpdateService")] == [False, True]
    assert daemon.says("retry"), "no line says that it is tried again"
    assert api.is_steady() and stage.no_dead_letters()


def throttling_for_longer_than_the_timeout_fails_and_is_set_aside(stage: Stage) -> None:
    stage.queues()
    stage.with_rollouts()
    stage.service()
    daemon = stage.run(stage.target(timeout="2s"))
    stage.world.fault("UpdateService", "throttle", 100)
    stage.put(events.push("api", "latest", stage.push("api", "latest")))
    (deployment,) = stage.finished(daemon)
    assert (deployment["outcome"], deployment["cause"]) == ("failed", "throttled"), deployment
    (letter,) = stage.dead_letters()
    assert letter["cause"] == "throttled", letter
    stage.rest(daemon)


def throttled_looks_delay_and_do_not_fail(stage: Stage) -> None:
    stage.queues()
    stage.with_rollouts()
    api = stage.service()
    daemon = stage.run(stage.target())
    stage.world.fault("DescribeServices", "throttle", 5)
    stage.put(events.push("api", "latest", stage.push("api", "latest")))
    (deployment,) = stage.finished(daemon, seconds=60)
    stage.rest(daemon)
    assert deployment["outcome"] == "succeeded" and len(stage.updates()) == 1, deployment
    assert api.is_steady() and stage.no_dead_letters()


def a_lost_answer_starts_no_second_rollout(stage: Stage) -> None:
    _loses_an_answer(stage, {"lost_answer": {"closed": True}})


def an_error_after_a_start_that_took_effect_starts_no_second_rollout(stage: Stage) -> None:
    _loses_an_answer(stage, {"lost_answer": {"closed": False}})


def a_start_that_is_answered_too_late_is_not_made_again(stage: Stage) -> None:
    _loses_an_answer(stage, {"slow": {"ms": 6_000}})


def _loses_an_answer(stage: Stage, kind: object) -> None:
    stage.queues()
    stage.with_rollouts()
    api = stage.service(image=stage.image("api", "v1"))
    daemon = stage.run(stage.target(on_push="pin"))
    stage.world.fault("UpdateService", kind)
    stage.put(events.push("api", "v2", stage.push("api", "v2")))
    (deployment,) = stage.finished(daemon)
    stage.rest(daemon)
    assert deployment["outcome"] == "succeeded", deployment
    assert len(stage.updates()) == 1 and len(stage.registered()) == 1
    assert api.image() == stage.image("api", "v2") and api.is_steady()


def a_registration_whose_answer_was_lost_is_found_again(stage: Stage) -> None:
    stage.queues()
    stage.with_rollouts()
    api = stage.service(image=stage.image("api", "v1"))
    daemon = stage.run(stage.target(on_push="pin"))
    stage.world.fault("RegisterTaskDefinition", {"lost_answer": {"closed": True}})
    stage.put(events.push("api", "v2", stage.push("api", "v2")))
    (deployment,) = stage.finished(daemon)
    stage.rest(daemon)
    assert deployment["outcome"] == "succeeded", deployment
    assert len(stage.registered()) == 1 and len(stage.updates()) == 1
    assert api.revision() == f"{stage.cluster}-api:2"


def a_task_for_which_there_is_no_room_is_told(stage: Stage) -> None:
    deployment = _fails(stage, "noroom", breaker=None, timeout="2s")
    assert deployment["cause"] in ("placement", "timeout"), deployment
    assert "unable to place a task" in deployment["reason"], deployment


def a_container_that_needs_too_much_memory_is_told(stage: Stage) -> None:
    assert _fails(stage, "oom")["cause"] == "out_of_memory"


def a_container_that_fails_its_health_check_is_told(stage: Stage) -> None:
    assert _fails(stage, "sick")["cause"] == "health_check"


def _fails(stage: Stage, tag: str, breaker: str | None = "stop", **settings: object) -> dict:
    stage.queues()
    stage.with_rollouts()
    stage.service(image=stage.image("api", "v1"), breaker=breaker)
    daemon = stage.run(stage.target(on_push="pin", rollback=False, **settings))
    stage.put(events.push("api", tag, stage.push("api", tag)))
    (deployment,) = stage.finished(daemon)
    assert deployment["outcome"] == "failed", deployment
    (letter,) = stage.dead_letters()
    assert letter["cause"] == deployment["cause"], letter
    return deployment


def a_failure_is_not_started_again_by_its_own_redelivery(stage: Stage) -> None:
    stage.queues()
    stage.with_rollouts()
    stage.service(image=stage.image("api", "v1"))
    daemon = stage.run(stage.target(on_push="pin"))
    body = stage.body(events.push("api", "nope", "sha256:" + "b" * 64), "broken")
    stage.send(body)
    stage.finished(daemon)
    stage.rest(daemon)
    stage.send(body)
    stage.handled(daemon, 2, trigger="image_pushed")
    stage.rest(daemon)
    assert len(stage.updates()) == 1, stage.updates()
    letters = stage.dead_letters(2)
    assert len({letter["id"] for letter in letters}) == 1, "one failure is listed once"


def after_a_kill_a_failure_is_told_with_its_cause(stage: Stage) -> None:
    stage.queues()
    stage.with_rollouts()
    stage.service(image=stage.image("api", "v1"))
    first = stage.run(stage.target(on_push="pin"))
    stage.put(events.push("api", "nope", "sha256:" + "b" * 64))
    until("it is started", lambda: len(stage.updates()) == 1)
    first.process.kill()
    heir = stage.run(stage.target(on_push="pin"))
    (deployment,) = stage.finished(heir, seconds=60)
    stage.rest(heir)
    assert (deployment["outcome"], deployment["cause"]) == ("rolled_back", "image_pull"), deployment
    assert len(stage.updates()) == 1 and len(stage.dead_letters()) == 1


def a_stuck_service_holds_up_nobody_else(stage: Stage) -> None:
    stage.queues()
    stage.with_rollouts()
    stage.service("stuck", image=stage.image("stuck", "v1"), breaker=None)
    stage.service("api")
    daemon = stage.run(stage.target("stuck", on_push="pin"), stage.target("api"))
    stage.put(events.push("stuck", "hang", stage.push("stuck", "hang")))
    until("one is stuck", lambda: daemon.target("stuck")["lane"]["state"] == "watching")
    stage.put(events.push("api", "latest", stage.push("api", "latest")))
    (deployment,) = stage.finished(daemon)
    assert deployment["target"].endswith("/api") and deployment["outcome"] == "succeeded", deployment
    assert daemon.target("stuck")["lane"]["state"] == "watching"


def a_look_that_is_never_answered_is_taken_again(stage: Stage) -> None:
    stage.queues()
    stage.with_rollouts()
    stage.service()
    daemon = stage.run(stage.target())
    stage.world.fault("DescribeServices", "hang", 1)
    stage.put(events.push("api", "latest", stage.push("api", "latest")))
    (deployment,) = stage.finished(daemon)
    stage.rest(daemon)
    assert deployment["outcome"] == "succeeded" and len(stage.updates()) == 1, deployment


def a_start_that_is_never_answered_and_never_took_effect_is_made_again(stage: Stage) -> None:
    stage.queues()
    stage.with_rollouts()
    stage.service()
    daemon = stage.run(stage.target())
    stage.world.fault("UpdateService", "hang", 1)
    stage.put(events.push("api", "latest", stage.push("api", "latest")))
    (deployment,) = stage.finished(daemon)
    stage.rest(daemon)
    assert deployment["outcome"] == "succeeded" and deployment["attempts"] == 2, deployment
    assert [call["took_effect"] for call in stage.calls("UpdateService")] == [False, True]
