"""A CI system says that an image is ready, or a person asks for a deployment."""

from datetime import datetime, timezone

import events
from daemon import Daemon
from processes import until
from stage import CHANGING, Stage, short


def an_announced_image_is_a_refresh_under_follow(stage: Stage) -> None:
    _is_a_refresh(stage, "follow")


def an_announced_image_is_a_refresh_under_always(stage: Stage) -> None:
    _is_a_refresh(stage, "always")


def _is_a_refresh(stage: Stage, on_push: str) -> None:
    stage.queues()
    stage.with_rollouts()
    api = stage.service()
    daemon = stage.run(stage.target(on_push=on_push))
    stage.push("api", "latest", "0f1e2d3")
    stage.put(events.ready("api", "0f1e2d3"))
    (deployment,) = stage.finished(daemon)
    stage.rest(daemon)
    assert deployment["outcome"] == "succeeded", deployment
    assert deployment["triggers"][0]["kind"] == "image_ready", deployment
    assert len(stage.updates()) == 1 and not stage.registered()
    # A revision that names the announced tag would lose the next push of the followed one.
    assert api.image() == stage.image("api", "latest")


def an_announced_image_becomes_a_revision_under_pin(stage: Stage) -> None:
    stage.queues()
    stage.with_rollouts()
    api = stage.service(image=stage.image("api", "v1"))
    daemon = stage.run(stage.target(on_push="pin", tags="glob:sha-*"))
    stage.push("api", "sha-0f1e2d3")
    stage.put_by_cli(events.ready("api", "sha-0f1e2d3"))
    (deployment,) = stage.finished(daemon)
    stage.rest(daemon)
    assert deployment["outcome"] == "succeeded", deployment
    assert len(stage.registered()) == 1 and len(stage.updates()) == 1
    assert api.image() == stage.image("api", "sha-0f1e2d3")


def an_image_from_another_branch_is_not_deployed(stage: Stage) -> None:
    stage.queues()
    stage.with_rollouts()
    stage.service()
    daemon = stage.run(stage.target(branches=["main", "release-*"]))
    stage.put(events.ready("api", "one", branch="feature-x"), events.ready("api", "two", branch=None))
    stage.handled(daemon, 2, trigger="image_ready", result="nothing_asked")
    stage.rest(daemon)
    assert not stage.calls(*CHANGING)
    assert daemon.says("branch"), "nothing says why"
    stage.put(events.ready("api", "three", branch="release-7"))
    (deployment,) = stage.finished(daemon)
    assert deployment["outcome"] == "succeeded", deployment


def an_announcement_beside_its_pushes_is_one_rollout_under_follow(stage: Stage) -> None:
    _is_one_rollout(stage, on_push="follow")


def an_announcement_beside_its_pushes_is_one_rollout_under_always(stage: Stage) -> None:
    _is_one_rollout(stage, on_push="always")


def an_announcement_beside_its_pushes_is_one_rollout_under_pin(stage: Stage) -> None:
    _is_one_rollout(stage, on_push="pin", tags="glob:sha-*")


def _is_one_rollout(stage: Stage, **settings: str) -> None:
    stage.queues()
    stage.with_rollouts()
    api = stage.service()
    daemon = stage.run(stage.target(quiet="1s", **settings))
    digest = stage.push("api", "sha-0f1e2d3", "latest")
    pushes = [events.push("api", tag, digest) for tag in ("sha-0f1e2d3", "latest")]
    stage.put(*pushes, events.ready("api", "sha-0f1e2d3"))
    stage.finished(daemon)
    for trigger, count in (("image_pushed", 2), ("image_ready", 1)):
        stage.handled(daemon, count, trigger=trigger)
    stage.rest(daemon)
    assert len(stage.updates()) == 1, stage.updates()
    assert len(stage.registered()) == (1 if settings["on_push"] == "pin" else 0)
    assert api.digests() == {digest}


def a_request_for_a_refresh_rolls_out_what_runs(stage: Stage) -> None:
    stage.queues()
    stage.with_rollouts()
    stage.service()
    daemon = stage.run(stage.target())
    stage.put_by_cli(events.deploy("api", reason="hotfix", requested_by="ada"))
    (deployment,) = stage.finished(daemon)
    stage.rest(daemon)
    assert deployment["outcome"] == "succeeded", deployment
    assert deployment["triggers"][0]["kind"] == "deploy_requested", deployment
    assert "hotfix" in deployment["triggers"][0]["reason"], deployment
    assert len(stage.updates()) == 1 and not stage.registered()


def a_request_for_a_tag_becomes_a_revision(stage: Stage) -> None:
    stage.queues()
    stage.with_rollouts()
    api = stage.service()
    daemon = stage.run(stage.target())
    stage.push("api", "v7")
    stage.put(events.deploy("api", tag="v7"))
    (deployment,) = stage.finished(daemon)
    assert deployment["outcome"] == "succeeded", deployment
    assert api.image() == stage.image("api", "v7")


def a_request_for_a_definition_rolls_out_that_revision(stage: Stage) -> None:
    stage.queues()
    stage.with_rollouts()
    api = stage.service(revisions=3, runs=3)
    daemon = stage.run(stage.target())
    stage.put(events.deploy("api", task_definition=f"{stage.cluster}-api:2"))
    (deployment,) = stage.finished(daemon)
    stage.rest(daemon)
    assert deployment["outcome"] == "succeeded" and not stage.registered(), deployment
    assert [short(it["taskDefinition"]) for it in stage.updates()] == [f"{stage.cluster}-api:2"]
    assert api.revision() == f"{stage.cluster}-api:2"


def a_request_for_a_missing_service_fails_and_is_set_aside(stage: Stage) -> None:
    stage.queues()
    stage.with_rollouts()
    stage.service()
    daemon = stage.run(stage.target("ghost"))
    stage.put(events.deploy("ghost"))
    (deployment,) = stage.finished(daemon)
    assert (deployment["outcome"], deployment["cause"]) == ("failed", "target_missing"), deployment
    (letter,) = stage.dead_letters()
    assert letter["cause"] == "target_missing", letter
    stage.rest(daemon)
    assert not stage.calls(*CHANGING)


def a_rollout_of_somebody_else_is_waited_for(stage: Stage) -> None:
    stage.queues()
    stage.with_rollouts()
    api = stage.service(image=stage.image("api", "v1"))
    daemon = stage.run(stage.target(on_push="pin", tags="glob:v*"))
    stage.world.dials(start_ms=12_000)
    stage.ecs.update_service(cluster=api.cluster, service=api.name, forceNewDeployment=True)
    stage.forget()
    stage.put(events.push("api", "v2", stage.push("api", "v2")))
    until("the push waits", lambda: daemon.target("api")["lane"]["state"] == "blocked")
    (deployment,) = stage.finished(daemon, outcome="succeeded")
    stage.rest(daemon)
    assert [it["status"] for it in api.rollouts()] == ["SUCCESSFUL", "SUCCESSFUL"], deployment
    assert api.image() == stage.image("api", "v2") and len(stage.updates()) == 1


def a_rollout_that_somebody_started_after_the_change_is_adopted(stage: Stage) -> None:
    stage.queues()
    stage.with_rollouts()
    api = stage.service()
    daemon = stage.run(stage.target(parameters=["/prod/shop/api/*"], quiet="3s"))
    stage.put(events.parameter("/prod/shop/api/KEY"))
    until("the change waits", lambda: daemon.target("api")["lane"]["waiting"] == 1)
    # Event times are whole seconds: only what is created a second later is surely newer.
    stage.world.dials(start_ms=25_000)
    until("a second has passed", lambda: _is_a_second_later(daemon))
    stage.ecs.update_service(cluster=api.cluster, service=api.name, forceNewDeployment=True)
    stage.forget()
    (deployment,) = stage.finished(daemon)
    stage.rest(daemon)
    assert deployment["outcome"] in ("succeeded", "already_running"), deployment
    assert not stage.updates() and len(api.rollouts()) == 1


def _is_a_second_later(daemon: Daemon) -> bool:
    """Whether more than a second has passed since the change was asked for."""
    asked = datetime.fromisoformat(daemon.deployments()[0]["version"])
    return (datetime.now(timezone.utc) - asked).total_seconds() > 1.1


def what_somebody_moved_the_service_to_meanwhile_is_respected(stage: Stage) -> None:
    stage.queues()
    stage.with_rollouts()
    api = stage.service(image=stage.image("api", "v1"))
    other = {"containerDefinitions": [{"name": "app", "image": stage.image("api", "by-hand"), "memory": 128}]}
    stage.push_what_runs(other)
    stage.register(f"{stage.cluster}-api", other)
    stage.world.dials(start_ms=15_000)
    daemon = stage.run(stage.target(on_push="pin", tags="glob:v*"))
    stage.put(events.push("api", "v2", stage.push("api", "v2")))
    until("the rollout is watched", lambda: daemon.target("api")["lane"]["state"] == "watching")
    until("a second has passed", lambda: _is_a_second_later(daemon))
    stage.world.dials(start_ms=1_000)
    stage.ecs.update_service(cluster=api.cluster, service=api.name, taskDefinition=f"{stage.cluster}-api:2")
    (deployment,) = stage.finished(daemon)
    stage.rest(daemon)
    assert deployment["outcome"] == "superseded", deployment
    assert api.image() == stage.image("api", "by-hand") and api.is_steady()
    assert stage.no_dead_letters()


def a_request_for_what_runs_already_starts_nothing_unless_forced(stage: Stage) -> None:
    stage.queues()
    stage.with_rollouts()
    digest = stage.push("api", "latest")
    stage.service()
    daemon = stage.run(stage.target())
    stage.put(events.push("api", "latest", digest))
    (deployment,) = stage.finished(daemon)
    assert deployment["outcome"] == "already_running", deployment
    stage.rest(daemon)
    assert not stage.calls(*CHANGING)
    stage.put(events.deploy("api", tag="latest", force=True))
    (forced,) = stage.finished(daemon, outcome="succeeded")
    stage.rest(daemon)
    assert len(stage.updates()) == 1 and not stage.registered(), forced


def a_newer_push_interrupts_where_the_settings_say_so(stage: Stage) -> None:
    stage.queues()
    stage.with_rollouts()
    api = stage.service(image=stage.image("api", "v1"))
    stage.world.dials(start_ms=60_000)
    daemon = stage.run(stage.target(on_push="pin", on_newer="interrupt"))
    stage.put(events.push("api", "v2", stage.push("api", "v2")))
    until("the first is rolled out", lambda: len(stage.updates()) == 1)
    stage.world.dials(start_ms=1_000)
    stage.put(events.push("api", "v3", stage.push("api", "v3")))
    stage.finished(daemon, outcome="succeeded")
    stage.rest(daemon)
    assert [it["outcome"] for it in stage.finished(daemon, 2)] == ["superseded", "succeeded"], daemon.deployments()
    assert api.image() == stage.image("api", "v3") and len(stage.updates()) == 2
    assert stage.no_dead_letters()


def another_event_that_a_rule_writes_as_a_request_deploys_what_it_names(stage: Stage) -> None:
    stage.queues()
    stage.rule_of_the_example()
    stage.with_rollouts()
    reports = stage.service("reports", image=stage.image("reports", "v1"))
    daemon = stage.run(stage.target("reports"))
    stage.push("reports", "3f9d2c1")
    stage.put_by_cli(events.pipeline("acme-reports", "3f9d2c1"))
    (deployment,) = stage.finished(daemon)
    stage.rest(daemon)
    assert deployment["outcome"] == "succeeded", deployment
    assert reports.image() == stage.image("reports", "3f9d2c1")
    reason = deployment["triggers"][0]["reason"]
    assert "acme-reports was deployed to prod by run 8841" in reason and "release-bot" in reason, reason
    stage.put(events.pipeline("another", "3f9d2c1"), events.pipeline("acme-reports", None))
    stage.put(events.push("somebody-elses", "latest", "sha256:" + "b" * 64))
    stage.handled(daemon, 1, trigger="image_pushed", result="nothing_asked")
    assert len(daemon.deployments()) == 1 and stage.no_dead_letters(), daemon.deployments()
