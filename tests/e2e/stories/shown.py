"""What is shown of a target is what runs there, whoever rolled it out, and whichever process is asked."""

import json
import signal

import events
from processes import until
from stage import Service, Stage


def what_runs_is_shown_and_what_somebody_else_rolls_out(stage: Stage) -> None:
    stage.queues()
    stage.with_rollouts()
    api = stage.service(image=stage.image("api", "v1"), revisions=2)
    daemon = stage.run(stage.target(on_push="pin"))
    first, second = api.revision(), api.revision().replace(":1", ":2")
    running = until("it is shown", lambda: daemon.target("api")["running"])
    assert running["definition"] == first and running["by"] is None, running
    assert running["images"][0]["image"] == stage.image("api", "v1"), running
    stage.world.dials(start_ms=75_000)
    stage.ecs.update_service(cluster=api.cluster, service=api.name, taskDefinition=second)
    _told(stage, api, "SERVICE_DEPLOYMENT_IN_PROGRESS")
    rollout = until("what is rolled out is shown", lambda: daemon.target("api")["rollout"], 20)
    assert (rollout["definition"], rollout["by"]) == (second, None), rollout
    assert daemon.target("api")["running"]["definition"] == first and daemon.target("api")["lane"]["state"] == "idle"
    until("it is over", api.is_steady, 60)
    _told(stage, api, "SERVICE_DEPLOYMENT_COMPLETED")
    until("the other one is shown", lambda: daemon.target("api")["running"]["definition"] == second, 20)
    target = daemon.target("api")
    assert target["rollout"] is None and target["running"]["images"][0]["digest"], target


def after_a_kill_the_rollout_is_shown_before_its_message_is_received_again(stage: Stage) -> None:
    stage.queues()
    stage.with_rollouts()
    api = stage.service(image=stage.image("api", "v1"))
    stage.world.dials(start_ms=75_000)
    first = stage.run(stage.target(on_push="pin"))
    stage.put(events.push("api", "v2", stage.push("api", "v2")))
    until("the rollout is watched", lambda: first.target("api")["lane"]["state"] == "watching")
    ours = first.target("api")["lane"]["deployment"]
    first.signal(signal.SIGKILL)
    first.ends_within(5)
    heir = stage.run(stage.target(on_push="pin"))
    rollout = until("the rollout is shown", lambda: heir.target("api")["rollout"], 10)
    assert (rollout["by"], rollout["definition"]) == (ours, api.revision()), rollout
    assert heir.target("api")["lane"]["state"] == "idle" and not heir.deployments()
    (deployment,) = stage.finished(heir, seconds=90)
    assert (deployment["id"], deployment["outcome"], deployment["adopted"]) == (ours, "succeeded", "ours"), deployment
    assert deployment["attempts"] == 1 and "before this" in deployment["reason"], deployment
    stage.rest(heir)
    target = heir.target("api")
    assert target["rollout"] is None and target["running"]["by"] == ours, target


def _told(stage: Stage, api: Service, event: str) -> None:
    """ECS tells of a rollout of this service."""
    body = json.loads(stage.body(events.rollout(), f"rollout-{event}"))
    body["resources"] = [stage.arn("ecs", f"service/{api.cluster}/{api.name}")]
    body["detail"]["eventName"] = event
    stage.send(json.dumps(body))
