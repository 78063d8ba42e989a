"""It is one of its own targets: a push of its own image has ECS replace the very process that asked for that."""

import signal

import events
import processes
from daemon import Daemon
from processes import until
from stage import Service, Stage


def _own(stage: Stage, **settings: object) -> tuple[Service, str]:
    """The service that runs the daemon: ECS stops the old task before it starts the new one."""
    stage.queues()
    stage.with_rollouts()
    own = stage.service("lockkeeper", image=stage.image("lockkeeper", "v1"))
    stage.ecs.update_service(
        cluster=stage.cluster,
        service="lockkeeper",
        deploymentConfiguration={
            "minimumHealthyPercent": 0,
            "maximumPercent": 100,
            "deploymentCircuitBreaker": {"enable": True, "rollback": True},
        },
    )
    until("it is steady", own.is_steady)
    stage.forget()
    return own, stage.target("lockkeeper", on_push="pin", **settings)


def _asks(stage: Stage, daemon: Daemon, tag: str) -> None:
    """Its own image is pushed, and it has asked ECS for the rollout."""
    stage.put(events.push("lockkeeper", tag, stage.push("lockkeeper", tag)))
    until("it rolls itself out", lambda: len(stage.updates()) == 1)
    until("it has heard of that", lambda: daemon.says("rolls out"))


def _ends(*daemons: Daemon) -> list[str]:
    """What all processes have said about ends of deployments."""
    lines = [line for daemon in daemons for line in daemon.logs()]
    return [line["fields"]["outcome"] for line in lines if line["message"].startswith("deployment ") and "outcome" in line["fields"]]


def its_successor_adopts_the_rollout_and_reports_it_once(stage: Stage) -> None:
    own, target = _own(stage)
    stage.world.dials(start_ms=30_000)
    old = stage.run(target)
    _asks(stage, old, "v2")
    old.signal(signal.SIGTERM)
    assert old.ends_within(10) == 0
    stage.world.dials(start_ms=500)
    new = stage.run(target)
    (deployment,) = stage.finished(new)
    assert deployment["outcome"] == "succeeded", deployment
    stage.rest(new)
    assert own.image() == stage.image("lockkeeper", "v2")
    assert len(stage.updates()) == 1 and stage.no_dead_letters(), stage.updates()
    assert _ends(old, new) == ["succeeded"], _ends(old, new)


def a_successor_of_one_that_was_killed_adopts_it_too(stage: Stage) -> None:
    own, target = _own(stage)
    stage.world.dials(start_ms=60_000)
    old = stage.run(target)
    _asks(stage, old, "v2")
    processes.kill(old.process)
    stage.world.dials(start_ms=500)
    new = stage.run(target)
    (deployment,) = stage.finished(new, seconds=60)
    assert deployment["outcome"] in ("succeeded", "already_running"), deployment
    stage.rest(new, seconds=60)
    assert own.image() == stage.image("lockkeeper", "v2")
    assert len(stage.updates()) == 1 and stage.no_dead_letters(), stage.updates()
    assert len(_ends(old, new)) == 1, _ends(old, new)


def a_release_of_itself_that_does_not_start_is_rolled_back_and_told_by_the_old_one(stage: Stage) -> None:
    own, target = _own(stage)
    old = stage.run(target)
    _asks(stage, old, "crash")
    old.signal(signal.SIGTERM)
    assert old.ends_within(10) == 0
    until("ECS has gone back", lambda: own.image() == stage.image("lockkeeper", "v1") and own.is_steady(), 60)
    again = stage.run(target)
    (deployment,) = stage.finished(again)
    assert deployment["outcome"] == "rolled_back", deployment
    (letter,) = stage.dead_letters()
    assert letter["outcome"] == "rolled_back", letter
    stage.rest(again)
    assert len(stage.updates()) == 1 and _ends(old, again) == ["rolled_back"], _ends(old, again)


def what_else_is_asked_meanwhile_is_done_by_the_successor(stage: Stage) -> None:
    _, target = _own(stage)
    api = stage.service(image=stage.image("api", "v1"))
    targets = (target, stage.target(on_push="pin"))
    stage.world.dials(start_ms=30_000)
    old = stage.run(*targets)
    _asks(stage, old, "v2")
    old.signal(signal.SIGTERM)
    stage.put(events.push("api", "v2", stage.push("api", "v2")))
    assert old.ends_within(10) == 0
    stage.world.dials(start_ms=500)
    new = stage.run(*targets)
    ended = stage.finished(new, count=2)
    assert [it["outcome"] for it in ended] == ["succeeded", "succeeded"], ended
    stage.rest(new)
    assert api.image() == stage.image("api", "v2") and len(stage.updates()) == 2, stage.updates()
