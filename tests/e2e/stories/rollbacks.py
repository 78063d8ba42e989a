"""Going back from what failed, by ECS where it can be told to, and else by ourselves."""

import time

import events
import processes
from daemon import Daemon
from processes import until
from stage import Service, Stage


def what_its_breaker_only_stops_is_rolled_back(stage: Stage) -> None:
    stage.queues()
    stage.with_rollouts()
    api = stage.service(image=stage.image("api", "v1"), breaker="stop")
    daemon = stage.run(stage.target(on_push="pin"))
    stage.put(events.push("api", "crash", stage.push("api", "crash")))
    (deployment,) = stage.finished(daemon)
    assert (deployment["outcome"], deployment["cause"]) == ("rolled_back", "crash_loop"), deployment
    assert f"rolled back to {stage.cluster}-api:1" in deployment["reason"], deployment
    (letter,) = stage.dead_letters()
    assert letter["outcome"] == "rolled_back" and letter["cause"] == "crash_loop", letter
    stage.rest(daemon)
    assert api.image() == stage.image("api", "v1") and api.is_steady()
    assert len(stage.updates()) == 2 and len(stage.registered()) == 1, stage.updates()


def a_rollout_without_progress_is_stopped_and_ecs_goes_back(stage: Stage) -> None:
    stage.queues()
    stage.with_rollouts()
    api = stage.service(image=stage.image("api", "v1"), breaker=None)
    daemon = stage.run(stage.target(on_push="pin", timeout="3s"))
    stage.put(events.push("api", "hang", stage.push("api", "hang")))
    (deployment,) = stage.finished(daemon)
    assert (deployment["outcome"], deployment["cause"]) == ("rolled_back", "timeout"), deployment
    assert "no progress for 3 s" in deployment["reason"], deployment
    stage.dead_letters()
    stage.rest(daemon)
    assert api.image() == stage.image("api", "v1") and api.is_steady()
    assert len(stage.updates()) == 1 and len(stage.calls("StopServiceDeployment")) == 1, stage.updates()


def a_followed_tag_goes_on_being_followed_after_a_rollback(stage: Stage) -> None:
    good, api, daemon = _gone_back(stage)
    assert api.digests() == {good} and api.image().endswith(f"@{good}"), api.image()
    mended = stage.push("api", "latest")
    stage.put(events.push("api", "latest", mended))
    stage.finished(daemon, outcome="succeeded")
    stage.rest(daemon)
    assert api.image() == stage.image("api", "latest") and api.digests() == {mended}


def new_tasks_after_a_rollback_carry_no_push_of_the_tag(stage: Stage) -> None:
    good, api, daemon = _gone_back(stage)
    mended = stage.push("api", "latest")
    late = stage.body(events.push("api", "latest", mended), "late")
    # Events carry whole seconds: what begins after two of them is surely later.
    time.sleep(2)
    stage.client("ecs").update_service(cluster=stage.cluster, service="api", forceNewDeployment=True)
    until("somebody's rollout is complete", api.is_steady)
    assert api.digests() == {good}
    stage.send(late)
    stage.finished(daemon, outcome="succeeded")
    stage.rest(daemon)
    assert api.image() == stage.image("api", "latest") and api.digests() == {mended}


def after_a_kill_what_failed_is_rolled_back_once(stage: Stage) -> None:
    stage.queues()
    stage.with_rollouts()
    api = stage.service(image=stage.image("api", "v1"), breaker="stop")
    daemon = stage.run(stage.target(on_push="pin"))
    stage.put(events.push("api", "crash", stage.push("api", "crash")))
    until("it is rolled out", lambda: len(stage.updates()) == 1)
    processes.kill(daemon.process)
    until("it has failed", lambda: api.primary()["rolloutState"] == "FAILED")
    heir = stage.run(stage.target(on_push="pin"))
    (deployment,) = stage.finished(heir, seconds=60)
    stage.rest(heir)
    assert (deployment["outcome"], deployment["cause"]) == ("rolled_back", "crash_loop"), deployment
    assert api.image() == stage.image("api", "v1") and len(stage.updates()) == 2, stage.updates()


def a_rollback_by_hand_is_respected(stage: Stage) -> None:
    stage.queues()
    stage.with_rollouts()
    api = stage.service(image=stage.image("api", "v1"))
    stage.world.dials(start_ms=30_000)
    daemon = stage.run(stage.target(on_push="pin"))
    stage.put(events.push("api", "v2", stage.push("api", "v2")))
    until("it is rolled out", lambda: len(stage.updates()) == 1)
    stage.world.dials(start_ms=500)
    stage.ecs.update_service(cluster=stage.cluster, service="api", taskDefinition=f"{stage.cluster}-api:1")
    (deployment,) = stage.finished(daemon)
    assert deployment["outcome"] == "superseded", deployment
    stage.rest(daemon)
    assert api.image() == stage.image("api", "v1") and stage.no_dead_letters()
    assert [it["taskDefinition"].rsplit(":", 1)[-1] for it in stage.updates()] == ["2", "1"], stage.updates()


def _gone_back(stage: Stage) -> tuple[str, Service, Daemon]:
    """A push of the tag that is followed has failed, and what ran is back. Says its digest."""
    stage.queues()
    stage.with_rollouts()
    good = stage.push("api", "latest")
    api = stage.service(breaker="stop")
    until("its digest is known", lambda: api.digests() == {good})
    daemon = stage.run(stage.target())
    stage.put(events.push("api", "latest", stage.push("api", "latest", "crash")))
    (deployment,) = stage.finished(daemon)
    assert (deployment["outcome"], deployment["cause"]) == ("rolled_back", "crash_loop"), deployment
    stage.rest(daemon)
    return good, api, daemon
