"""What people decide is on the queue, and takes effect whatever dies in between."""

import signal
import time

import events
from daemon import Daemon
from processes import until
from stage import Service, Stage

# A cancellation is held for two visibilities, so that whatever comes back of its deployment meets it.
LONG = 90.0


def a_pause_is_a_tag_that_a_kill_does_not_take_away(stage: Stage) -> None:
    daemon, api = _scene(stage)
    _decide(stage, "Pause", target="api", by="ann", reason="an incident")
    assert " / ann / an incident" in until("it is tagged", lambda: _tags(stage, api).get("lockkeeper:paused"))
    stage.handled(daemon, 1, trigger="decision", result="reality")
    daemon.signal(signal.SIGKILL)
    stage.daemons.remove(daemon)
    daemon = stage.run(stage.target(on_push="pin"))
    stage.put(events.push("api", "v2", stage.push("api", "v2")))
    hold = until("it is known to be paused", lambda: daemon.target("api")["lane"]["hold"])
    assert (hold["kind"], hold["by"], hold["reason"]) == ("paused", "ann", "an incident"), hold
    lane = until("its request waits", lambda: (lane := daemon.target("api")["lane"])["waiting"] and lane["why"] and lane)
    assert not stage.updates() and lane["waiting"] == 1, lane
    until("it says for what", lambda: "paused by ann" in (daemon.target("api")["lane"]["why"] or ""))
    _decide(stage, "Resume", all=True, by="bob")
    (deployment,) = stage.finished(daemon)
    assert deployment["outcome"] == "succeeded", deployment
    stage.rest(daemon)
    tags = _tags(stage, api)
    assert "lockkeeper:paused" not in tags and " / bob / " in tags["lockkeeper:resumed"], tags
    assert api.image() == stage.image("api", "v2") and daemon.target("api")["lane"]["hold"] is None
    assert daemon.says("api is resumed by bob")


def a_pause_that_was_decided_before_a_resume_and_comes_late_does_nothing(stage: Stage) -> None:
    daemon, api = _scene(stage)
    late = stage.body(events.Event("lockkeeper.decision", "Pause", {"target": "api", "by": "ann"}), "late")
    time.sleep(2)
    _decide(stage, "Resume", target="api")
    stage.handled(daemon, 1, trigger="decision")
    stage.send(late)
    stage.handled(daemon, 2, trigger="decision")
    assert "lockkeeper:paused" not in _tags(stage, api)
    stage.put(events.push("api", "v2", stage.push("api", "v2")))
    assert stage.finished(daemon)[0]["outcome"] == "succeeded"
    stage.rest(daemon)


def what_somebody_pauses_in_the_console_is_paused_and_told_of_when_the_tag_is_gone(stage: Stage) -> None:
    daemon, api = _scene(stage)
    arn = api.describe()["serviceArn"]
    stage.ecs.tag_resource(resourceArn=arn, tags=[{"key": "lockkeeper:paused", "value": "hands off"}])
    stage.put(events.push("api", "v2", stage.push("api", "v2")))
    hold = until("it is seen", lambda: daemon.target("api")["lane"]["hold"])
    assert (hold["kind"], hold["by"], hold["reason"]) == ("paused", None, "hands off"), hold
    stage.ecs.untag_resource(resourceArn=arn, tagKeys=["lockkeeper:paused"])
    # What waits looks again every few minutes, and when something joins it.
    stage.put(events.deploy("api", refresh=True))
    stage.finished(daemon)
    stage.rest(daemon)
    assert daemon.says("the tag lockkeeper:paused is gone") and api.image() == stage.image("api", "v2")


def a_rollout_that_is_cancelled_is_stopped_and_can_be_put_back(stage: Stage) -> None:
    daemon, api = _scene(stage)
    stage.world.dials(start_ms=100_000)
    stage.put(events.push("api", "v2", stage.push("api", "v2")))
    (going,) = until("it is rolled out", lambda: [it for it in daemon.deployments() if it["stage"] == "rollout"])
    asked = [it["event_id"] for it in going["triggers"]]
    _decide(stage, "Cancel", deployment_id=going["id"], target="api", events=asked, by="ann", reason="the wrong one")
    stage.world.dials(start_ms=1_000)
    (ended,) = stage.finished(daemon)
    assert (ended["id"], ended["outcome"], ended["cause"]) == (going["id"], "cancelled", None), ended
    assert ended["reason"].startswith("cancelled by ann: the wrong one"), ended
    until("it is set aside", lambda: stage.set_aside() == (1, 0))
    stage.rest(daemon, LONG)
    assert api.image() == stage.image("api", "v1") and len(stage.calls("StopServiceDeployment")) == 1
    daemon.signal(signal.SIGTERM)
    assert daemon.ends_within(10) == 0
    stage.daemons.remove(daemon)
    daemon = stage.run(stage.target(on_push="pin"))
    again = until("it is remembered", lambda: [it for it in daemon.all_deployments() if it["id"] == going["id"]])[0]
    assert (again["outcome"], again["known_from"]) == ("cancelled", "ecs_letter"), again
    assert again["reason"].startswith("cancelled by ann: the wrong one") and again["cancelled"], again
    daemon.answer("replay", "--all")
    until("it is deployed", lambda: api.image() == stage.image("api", "v2") and api.is_steady())
    stage.rest(daemon)


def a_rollout_that_is_cancelled_after_a_kill_is_stopped_when_its_message_comes_back(stage: Stage) -> None:
    daemon, api = _scene(stage)
    stage.world.dials(start_ms=400_000)
    stage.put(events.push("api", "v2", stage.push("api", "v2")))
    (going,) = until("it is rolled out", lambda: [it for it in daemon.deployments() if it["stage"] == "rollout"])
    asked = [it["event_id"] for it in going["triggers"]]
    daemon.signal(signal.SIGKILL)
    stage.daemons.remove(daemon)
    _decide(stage, "Cancel", deployment_id=going["id"], target="api", events=asked, by="ann", reason="the wrong one")
    daemon = stage.run(stage.target(on_push="pin"))
    until("it is stopped", lambda: stage.calls("StopServiceDeployment"), LONG)
    stage.world.dials(start_ms=1_000)
    (ended,) = stage.finished(daemon, seconds=LONG)
    assert (ended["outcome"], ended["cause"], ended["cancelled"]) == ("cancelled", None, True), ended
    assert ended["rollout_id"] and ended["definition"] and ended["started_at"], ended
    stage.rest(daemon, LONG)
    assert api.image() == stage.image("api", "v1") and len(stage.calls("StopServiceDeployment")) == 1


def a_cancellation_meets_what_comes_back_after_a_kill(stage: Stage) -> None:
    daemon, api = _scene(stage)
    _decide(stage, "Pause", target="api")
    until("it is tagged", lambda: "lockkeeper:paused" in _tags(stage, api))
    stage.put(events.push("api", "v2", stage.push("api", "v2")))
    (waiting,) = until("it waits", lambda: [it for it in daemon.deployments() if it["stage"] == "waiting"])
    asked = [it["event_id"] for it in waiting["triggers"]]
    daemon.signal(signal.SIGKILL)
    stage.daemons.remove(daemon)
    _decide(stage, "Cancel", deployment_id=waiting["id"], target="api", events=asked)
    _decide(stage, "Resume", target="api")
    daemon = stage.run(stage.target(on_push="pin", quiet="5s"))
    stage.finished(daemon, seconds=LONG, outcome="cancelled")
    assert not stage.updates()
    until("it is set aside", lambda: stage.set_aside() == (1, 0))
    stage.rest(daemon, LONG)


def a_rollback_holds_its_target_until_it_is_resumed(stage: Stage) -> None:
    daemon, api = _scene(stage)
    stage.put(events.push("api", "v2", stage.push("api", "v2")))
    stage.finished(daemon)
    stage.rest(daemon)
    bad, family = api.revision(), api.revision().split(":")[0]
    _ask(stage, "Rollback", target="api", **{"from": bad, "to": f"{family}:1"}, by="ann", reason="it leaks")
    back = stage.finished(daemon, 2)[1]
    assert (back["outcome"], back["definition"]) == ("succeeded", f"{family}:1"), back
    stage.rest(daemon)
    assert api.image() == stage.image("api", "v1") and " / ann / it leaks" in _tags(stage, api)["lockkeeper:held"]
    assert daemon.target("api")["lane"]["hold"]["kind"] == "held"
    stage.put(events.push("api", "v3", stage.push("api", "v3")))
    stage.put(events.deploy("api", refresh=True))
    fresh = stage.finished(daemon, 3)[2]
    assert (fresh["outcome"], fresh["definition"]) == ("succeeded", f"{family}:1"), "new tasks do not wait"
    assert daemon.target("api")["lane"]["waiting"] == 1
    _decide(stage, "Resume", target="api")
    assert stage.finished(daemon, 4)[3]["outcome"] == "succeeded"
    stage.rest(daemon)
    assert api.image() == stage.image("api", "v3") and "lockkeeper:held" not in _tags(stage, api)


def a_rollback_that_waits_behind_a_pause_holds_its_target_until_the_second_resume(stage: Stage) -> None:
    daemon, api = _scene(stage)
    stage.put(events.push("api", "v2", stage.push("api", "v2")))
    stage.finished(daemon)
    stage.rest(daemon)
    bad, family = api.revision(), api.revision().split(":")[0]
    _decide(stage, "Pause", target="api", by="ann", reason="an incident")
    until("it is paused", lambda: "lockkeeper:paused" in _tags(stage, api))
    _ask(stage, "Rollback", target="api", **{"from": bad, "to": f"{family}:1"}, by="ann", reason="it leaks")
    until("it waits", lambda: daemon.target("api")["lane"]["waiting"] == 1)
    daemon.signal(signal.SIGKILL)
    stage.daemons.remove(daemon)
    daemon = stage.run(stage.target(on_push="pin"))
    # Events carry whole seconds: of what was decided within one the resume is in force.
    time.sleep(1.5)
    _decide(stage, "Resume", target="api", by="ann")
    (back,) = stage.finished(daemon, seconds=60)
    assert (back["outcome"], back["definition"]) == ("succeeded", f"{family}:1"), back
    stage.rest(daemon)
    assert api.image() == stage.image("api", "v1") and " / ann / it leaks" in _tags(stage, api)["lockkeeper:held"]
    assert daemon.target("api")["lane"]["hold"]["kind"] == "held"
    stage.put(events.push("api", "v3", stage.push("api", "v3")))
    until("it waits", lambda: daemon.target("api")["lane"]["waiting"] == 1)
    _decide(stage, "Resume", target="api")
    assert stage.finished(daemon, 2)[1]["outcome"] == "succeeded"
    stage.rest(daemon)
    assert api.image() == stage.image("api", "v3") and "lockkeeper:held" not in _tags(stage, api)


def of_two_rollbacks_at_once_either_holds_the_target(stage: Stage) -> None:
    daemon, api = _scene(stage)
    stage.put(events.push("api", "v2", stage.push("api", "v2")))
    stage.finished(daemon)
    stage.rest(daemon)
    bad, family = api.revision(), api.revision().split(":")[0]
    for hold in (True, False):
        _ask(stage, "Rollback", target="api", **{"from": bad, "to": f"{family}:1"}, by="ann", hold=hold)
    assert stage.finished(daemon, 2)[1]["definition"] == f"{family}:1"
    stage.rest(daemon)
    assert daemon.target("api")["lane"]["hold"]["kind"] == "held" and "lockkeeper:held" in _tags(stage, api)


def a_rollback_that_somebody_was_ahead_of_is_superseded(stage: Stage) -> None:
    daemon, api = _scene(stage)
    family = api.revision().split(":")[0]
    # What was rolled out in the second of the request would carry it.
    time.sleep(1.5)
    _ask(stage, "Rollback", target="api", **{"from": f"{family}:7", "to": f"{family}:1"})
    (ended,) = stage.finished(daemon)
    assert ended["outcome"] == "superseded" and f"by now {family}:1 runs" in ended["reason"], ended
    stage.rest(daemon)
    assert not stage.updates() and "lockkeeper:held" not in _tags(stage, api)


def what_is_decided_about_nothing_says_so(stage: Stage) -> None:
    daemon, _ = _scene(stage)
    _decide(stage, "Approve", deployment_id="d-1", by="ann")
    _decide(stage, "Pause", target="nobody")
    stage.handled(daemon, 2, trigger="decision", result="nothing_asked")
    assert daemon.says("no deployment waits for an approval") and daemon.says("no target is called `nobody`")
    stage.rest(daemon)


def _scene(stage: Stage) -> tuple[Daemon, Service]:
    stage.queues()
    stage.with_rollouts()
    api = stage.service(image=stage.image("api", "v1"))
    return stage.run(stage.target(on_push="pin")), api


def _decide(stage: Stage, verb: str, **detail: object) -> None:
    stage.send(_body(stage, events.Event("lockkeeper.decision", verb, detail)))


def _ask(stage: Stage, kind: str, **detail: object) -> None:
    stage.send(_body(stage, events.Event("lockkeeper.request", kind, detail)))


def _body(stage: Stage, event: events.Event) -> str:
    return stage.body(event, f"people-{time.monotonic_ns()}")


def _tags(stage: Stage, api: Service) -> dict[str, str]:
    described = stage.ecs.describe_services(cluster=api.cluster, services=[api.name], include=["TAGS"])
    return {tag["key"]: tag["value"] for tag in described["services"][0].get("tags", [])}
