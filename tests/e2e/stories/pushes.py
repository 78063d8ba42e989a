"""An image is pushed, or a parameter or file is written: one finished rollout."""

import json
from datetime import datetime

import events
from processes import until
from stage import CHANGING, Stage, short


def a_push_of_the_followed_tag_starts_one_rollout_of_the_running_revision(stage: Stage) -> None:
    stage.queues()
    stage.with_rollouts()
    api = stage.service(revisions=3, runs=2)
    daemon = stage.run(stage.target())
    digest = stage.push("api", "latest")
    stage.put_by_cli(events.push("api", "latest", digest))
    (deployment,) = stage.finished(daemon)
    assert deployment["outcome"] == "succeeded", deployment
    stage.rest(daemon)
    (update,) = stage.updates()
    assert update["forceNewDeployment"] is True, update
    assert short(update["taskDefinition"]) == f"{stage.cluster}-api:2", update
    assert short(update["cluster"]) == stage.cluster and short(update["service"]) == "api", update
    assert "desiredCount" not in update, update
    assert not stage.registered()
    assert api.is_steady() and api.digests() == {digest}
    assert stage.no_dead_letters()


def a_success_is_told_by_api_metrics_and_log(stage: Stage) -> None:
    stage.queues()
    stage.with_rollouts()
    api = stage.service()
    daemon = stage.run(stage.target())
    stage.put(events.push("api", "latest", stage.push("api", "latest")))
    (deployment,) = stage.finished(daemon)
    stage.rest(daemon)
    assert daemon.get(f"/api/v1/deployments/{deployment['id']}") == deployment
    assert deployment["rollout_id"] and deployment["stage"] == "finished", deployment
    assert deployment["definition"].endswith(api.revision()), deployment
    assert [it["kind"] for it in deployment["triggers"]] == ["image_pushed"], deployment
    times = [datetime.fromisoformat(deployment[f"{word}_at"]) for word in ("requested", "started", "finished")]
    assert times == sorted(times), deployment
    until("the target shows what runs", lambda: (daemon.target("api")["running"] or {}).get("since"))
    labels = {"target": "api", "trigger": "image_pushed", "outcome": "succeeded"}
    assert daemon.metric("lockkeeper_deployments_total", **labels) == 1
    assert daemon.metric("lockkeeper_events_total", trigger="image_pushed", result="reality") == 1
    assert daemon.metric("lockkeeper_aws_requests_total", operation="UpdateService", result="ok") == 1
    assert daemon.metric("lockkeeper_leases_held") == 0
    (line,) = daemon.says("deployment", outcome="succeeded")
    assert line["fields"]["deployment_id"] == deployment["id"], line


def two_tags_of_one_digest_are_one_rollout(stage: Stage) -> None:
    stage.queues()
    stage.with_rollouts()
    api = stage.service()
    daemon = stage.run(stage.target(on_push="always", quiet="1s"))
    digest = stage.push("api", "latest", "sha-0f1e2d3")
    stage.put(events.push("api", "sha-0f1e2d3", digest), events.push("api", "latest", digest))
    stage.finished(daemon)
    stage.handled(daemon, 2, trigger="image_pushed")
    stage.rest(daemon)
    assert len(stage.updates()) == 1, stage.updates()
    assert api.digests() == {digest}


def twenty_parameters_are_one_rollout(stage: Stage) -> None:
    stage.queues()
    stage.with_rollouts()
    stage.service()
    daemon = stage.run(stage.target(parameters=["/prod/shop/api/*"], quiet="1s"))
    stage.put(*(events.parameter(f"/prod/shop/api/KEY_{number}") for number in range(20)))
    (deployment,) = stage.finished(daemon)
    stage.handled(daemon, 20, trigger="parameter_changed")
    stage.rest(daemon)
    assert deployment["outcome"] == "succeeded" and len(deployment["triggers"]) == 20, deployment
    assert len(stage.updates()) == 1, stage.updates()


def a_parameter_that_two_targets_read_rolls_out_both(stage: Stage) -> None:
    stage.queues()
    stage.with_rollouts()
    stage.service("api")
    stage.service("web")
    daemon = stage.run(*(stage.target(name, parameters=["/prod/shop/shared"]) for name in ("api", "web")))
    stage.put(events.parameter("/prod/shop/shared"))
    ended = stage.finished(daemon, 2)
    stage.rest(daemon)
    assert [it["outcome"] for it in ended] == ["succeeded", "succeeded"], ended
    assert sorted(short(update["service"]) for update in stage.updates()) == ["api", "web"]
    assert daemon.metric("lockkeeper_events_total", trigger="parameter_changed") == 1


def a_file_in_s3_rolls_out_who_loads_it(stage: Stage) -> None:
    stage.queues()
    stage.with_rollouts()
    stage.service()
    daemon = stage.run(stage.target(files=["s3://shop-env/api.env"]))
    stage.put(events.file("shop-env", "other.env"), events.file("shop-env", "api.env"))
    (deployment,) = stage.finished(daemon)
    stage.handled(daemon, 2, trigger="env_file_changed")
    stage.rest(daemon)
    assert deployment["outcome"] == "succeeded" and len(stage.updates()) == 1, deployment


def a_pinned_push_registers_a_revision_that_keeps_everything_else(stage: Stage) -> None:
    document = {
        "containerDefinitions": [
            {"name": "app", "image": stage.image("api", "v1"), "memory": 128, "aFieldOfTomorrow": {"deep": [1, 2.5]}},
            {"name": "proxy", "image": stage.image("proxy", "v1"), "memory": 64, "essential": False},
            {"name": "fluent", "image": "public.ecr.aws/fluent/fluent:2", "memory": 64},
        ],
        "networkMode": "awsvpc",
        "aKnobOfTomorrow": "on",
        "tags": [{"key": "team", "value": "checkout"}],
    }
    stage.queues()
    stage.with_rollouts()
    api = stage.service(definition=document)
    daemon = stage.run(stage.target(on_push="pin", tags="glob:v*"))
    digest = stage.push("api", "v2")
    stage.put(events.push("api", "v2", digest))
    (deployment,) = stage.finished(daemon)
    stage.rest(daemon)
    assert deployment["outcome"] == "succeeded", deployment
    (registered,) = stage.registered()
    before, after = document["containerDefinitions"], registered["containerDefinitions"]
    assert after[0]["image"] == stage.image("api", "v2")
    assert after[0]["aFieldOfTomorrow"] == {"deep": [1, 2.5]} and registered["aKnobOfTomorrow"] == "on"
    assert [it["image"] for it in after[1:]] == [it["image"] for it in before[1:]]
    assert registered["networkMode"] == "awsvpc" and registered["family"] == f"{stage.cluster}-api"
    assert {"key": "team", "value": "checkout"} in registered["tags"]
    assert any(tag["key"].startswith("lockkeeper:deployment") for tag in registered["tags"])
    described_only = {"taskDefinitionArn", "revision", "status", "registeredAt", "registeredBy", "compatibilities"}
    assert not described_only & registered.keys()
    (update,) = stage.updates()
    assert short(update["taskDefinition"]) == f"{stage.cluster}-api:2" == api.revision()
    assert api.image() == stage.image("api", "v2") and digest in api.digests()


def a_pinned_digest_is_what_the_revision_names(stage: Stage) -> None:
    stage.queues()
    stage.with_rollouts()
    api = stage.service(image=stage.image("api", "v1"))
    daemon = stage.run(stage.target(on_push="pin", image_reference="digest"))
    digest = stage.push("api", "v2")
    stage.put(events.push("api", "v2", digest))
    (deployment,) = stage.finished(daemon)
    assert deployment["outcome"] == "succeeded", deployment
    assert api.image() == stage.image("api", "v2").removesuffix(":v2") + f"@{digest}"


def a_tag_that_the_policy_does_not_take_changes_nothing(stage: Stage) -> None:
    stage.queues()
    stage.with_rollouts()
    stage.service(image=stage.image("api", "1.4.0"))
    daemon = stage.run(stage.target(on_push="pin", tags="semver:^1"))
    stage.put(*(events.push("api", tag, stage.push("api", tag)) for tag in ("2.0.0", "feature-x", "1.5.0")))
    (deployment,) = stage.finished(daemon)
    stage.handled(daemon, 3, trigger="image_pushed")
    stage.rest(daemon)
    assert deployment["outcome"] == "succeeded" and len(stage.updates()) == 1, deployment
    assert [it["containerDefinitions"][0]["image"] for it in stage.registered()] == [stage.image("api", "1.5.0")]


def a_branch_image_is_never_deployed_under_follow(stage: Stage) -> None:
    stage.queues()
    stage.with_rollouts()
    stage.service()
    daemon = stage.run(stage.target())
    stage.put(events.push("api", "feature-x", stage.push("api", "feature-x")))
    stage.handled(daemon, 1, trigger="image_pushed")
    stage.rest(daemon)
    assert not stage.calls(*CHANGING)
    assert stage.no_dead_letters()


def a_newer_push_waits_and_wins(stage: Stage) -> None:
    stage.queues()
    stage.with_rollouts()
    api = stage.service(image=stage.image("api", "v1"))
    stage.world.dials(start_ms=12_000)
    daemon = stage.run(stage.target(on_push="pin", tags="glob:v*"))
    stage.put(events.push("api", "v2", stage.push("api", "v2")))
    until("the first is rolled out", lambda: len(stage.updates()) == 1)
    stage.put(events.push("api", "v3", stage.push("api", "v3")))
    until("the second waits", lambda: daemon.target("api")["lane"]["waiting"] == 1)
    first, second = stage.finished(daemon, 2)
    stage.rest(daemon)
    assert [first["outcome"], second["outcome"]] == ["succeeded", "succeeded"], (first, second)
    # The second did not cut the first short.
    assert [it["status"] for it in api.rollouts()] == ["SUCCESSFUL", "SUCCESSFUL"]
    assert api.image() == stage.image("api", "v3")


def a_duplicate_starts_nothing_twice(stage: Stage) -> None:
    stage.queues()
    stage.with_rollouts()
    stage.service()
    daemon = stage.run(stage.target())
    body = stage.body(events.push("api", "latest", stage.push("api", "latest")), "11111111-2222-4333-8444-555555555555")
    stage.send(body)
    stage.send(body)
    stage.finished(daemon)
    stage.handled(daemon, 2, trigger="image_pushed")
    stage.send(body)
    stage.handled(daemon, 3, trigger="image_pushed")
    stage.rest(daemon)
    assert len(stage.updates()) == 1, stage.updates()
    assert stage.no_dead_letters()


def a_late_older_event_does_not_move_content_back(stage: Stage) -> None:
    stage.queues()
    stage.with_rollouts()
    api = stage.service(image=stage.image("api", "v1"))
    daemon = stage.run(stage.target(on_push="pin", tags="glob:v*"))
    older = stage.body(events.push("api", "v2", stage.push("api", "v2")), "older")
    until("an event would have a later time", lambda: _time(stage.body(events.deploy("api"), "")) > _time(older))
    stage.send(stage.body(events.push("api", "v3", stage.push("api", "v3")), "newer"))
    stage.finished(daemon, outcome="succeeded")
    stage.send(older)
    stage.handled(daemon, 2, trigger="image_pushed")
    stage.rest(daemon)
    assert api.image() == stage.image("api", "v3")
    assert len(stage.updates()) == 1, stage.updates()


def an_event_of_an_unknown_repository_is_deleted(stage: Stage) -> None:
    stage.queues()
    stage.with_rollouts()
    stage.service()
    daemon = stage.run(stage.target())
    stage.put(events.push("somebody-elses", "latest", "sha256:" + "0" * 64))
    stage.handled(daemon, 1, trigger="image_pushed", result="nothing_asked")
    stage.rest(daemon)
    assert not stage.calls(*CHANGING)
    assert stage.no_dead_letters()


def _time(body: str) -> str:
    """An event's time: whole seconds."""
    return json.loads(body)["time"]


def every_container_of_the_repository_gets_the_image(stage: Stage) -> None:
    assert _images(stage) == {"web": "v2", "worker": "v2", "proxy": "v1"}


def only_the_named_container_gets_the_image(stage: Stage) -> None:
    assert _images(stage, container="worker") == {"web": "v1", "worker": "v2", "proxy": "v1"}


def _images(stage: Stage, **settings: str) -> dict[str, str]:
    """The tags that containers have after a push of v2, two of them of the pushed repository."""
    images = {"web": "api", "worker": "api", "proxy": "proxy"}
    containers = [{"name": name, "image": stage.image(it, "v1"), "memory": 64} for name, it in images.items()]
    stage.queues()
    stage.with_rollouts()
    api = stage.service(definition={"containerDefinitions": containers})
    daemon = stage.run(stage.target(on_push="pin", **settings))
    stage.put(events.push("api", "v2", stage.push("api", "v2")))
    (deployment,) = stage.finished(daemon)
    assert deployment["outcome"] == "succeeded", deployment
    return {name: api.image(name).rsplit(":", 1)[-1] for name in images}


def a_service_that_wants_no_tasks_is_told_plainly(stage: Stage) -> None:
    stage.queues()
    stage.with_rollouts()
    stage.service(desired=0)
    daemon = stage.run(stage.target())
    stage.put(events.push("api", "latest", stage.push("api", "latest")))
    (deployment,) = stage.finished(daemon)
    assert deployment["outcome"] == "succeeded" and "0 tasks" in deployment["reason"], deployment


def thirty_services_of_one_parameter_roll_out_once_each(stage: Stage) -> None:
    stage.queues()
    stage.with_rollouts()
    names = [f"svc-{number:02}" for number in range(30)]
    for name in names:
        stage.service(name)
    daemon = stage.run(*(stage.target(name, parameters=["/prod/shop/shared"]) for name in names))
    stage.put(events.parameter("/prod/shop/shared"))
    ended = stage.finished(daemon, len(names), seconds=60)
    stage.rest(daemon)
    assert {it["outcome"] for it in ended} == {"succeeded"}, ended
    assert sorted(short(update["service"]) for update in stage.updates()) == names
