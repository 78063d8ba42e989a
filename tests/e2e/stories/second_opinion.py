"""Everything on moto: an emulator of ECS that others wrote says which calls were made, and with which arguments.

Its rollouts are over at once, its services never show a new definition as deployed, and it has no service deployments:
it answers those calls with status 500. So these stories are about calls, not about how rollouts end.
"""

import signal

import events
from stage import CHANGING, Stage, short

DIGEST = "sha256:" + "a" * 64


def moto_sees_one_forced_deployment_of_the_running_revision(stage: Stage) -> None:
    stage.queues()
    stage.service(breaker=None, revisions=3, runs=2)
    daemon = stage.run(stage.target())
    stage.put_by_cli(events.push("api", "latest", DIGEST))
    (deployment,) = stage.finished(daemon, seconds=60)
    stage.rest(daemon)
    assert deployment["outcome"] == "succeeded", deployment
    (update,) = stage.updates()
    assert update["forceNewDeployment"] is True and "desiredCount" not in update, update
    assert short(update["taskDefinition"]) == f"{stage.cluster}-api:2", update
    assert not stage.registered() and stage.no_dead_letters()


def moto_sees_a_pinned_push_register_and_roll_out_that_revision(stage: Stage) -> None:
    stage.queues()
    containers = [
        {"name": "app", "image": stage.image("api", "v1"), "memory": 128, "environment": [{"name": "A", "value": "b"}]},
        {"name": "proxy", "image": stage.image("proxy", "v1"), "memory": 64},
    ]
    document = {"containerDefinitions": containers, "tags": [{"key": "team", "value": "checkout"}]}
    stage.service(breaker=None, definition=document)
    daemon = stage.run(stage.target(on_push="pin", timeout="5s"))
    stage.put(events.push("api", "v2", DIGEST))
    stage.finished(daemon, seconds=60)
    stage.rest(daemon)
    (registered,) = stage.registered()
    app, proxy = registered["containerDefinitions"]
    assert app["image"] == stage.image("api", "v2") and app["environment"] == containers[0]["environment"], app
    assert proxy["image"] == stage.image("proxy", "v1"), proxy
    assert {"key": "team", "value": "checkout"} in registered["tags"], registered["tags"]
    (update,) = stage.updates()
    assert short(update["taskDefinition"]) == f"{stage.cluster}-api:2", update


def moto_sees_no_tag_for_a_decision_that_somebody_else_sent(stage: Stage) -> None:
    stage.queues()
    api = stage.service(breaker=None)
    daemon = stage.run(stage.target())
    # To moto everybody who sends is one stranger.
    pause = events.Event("lockkeeper.decision", "Pause", {"target": "api", "by": "mallory"})
    stage.send(stage.body(pause, "decided"))
    stage.handled(daemon, 1, trigger="ignored", result="nothing_asked")
    assert daemon.says("approval.events is off") and not stage.calls("TagResource")
    daemon.signal(signal.SIGTERM)
    stage.daemons.remove(daemon)
    daemon = stage.run(stage.target(), environment={"LOCKKEEPER__APPROVAL__EVENTS": "true"})
    stage.send(stage.body(pause, "decided-again"))
    stage.handled(daemon, 1, trigger="decision", result="reality")
    (tagged,) = stage.calls("TagResource")
    assert tagged["request"]["tags"][0]["key"] == "lockkeeper:paused", tagged
    assert api.describe()["status"] == "ACTIVE"


def moto_sees_nothing_changed_for_a_service_that_is_missing(stage: Stage) -> None:
    stage.queues()
    stage.service(breaker=None)
    daemon = stage.run(stage.target("ghost"))
    stage.put(events.deploy("ghost"))
    (deployment,) = stage.finished(daemon, seconds=60)
    assert (deployment["outcome"], deployment["cause"]) == ("failed", "target_missing"), deployment
    (letter,) = stage.dead_letters()
    assert letter["cause"] == "target_missing" and letter["target"].endswith("/ghost"), letter
    stage.rest(daemon)
    assert stage.calls("DescribeServices") and not stage.calls(*CHANGING)


def moto_sees_no_changing_call_in_a_dry_run(stage: Stage) -> None:
    stage.queues()
    # The cluster's name is how this story's calls are told from those of others.
    project, stage.mark = f"{stage.cluster}x", f"{stage.cluster}x_cluster_dev"
    stage.service(f"{project}_service_api_dev", cluster=f"{project}_cluster_dev", breaker=None)
    variables = {"PROJECT_NAME": project, "PROJECT_ENV": "dev", "DRY_RUN": "1"}
    daemon = stage.run(environment={**variables, "LOCKKEEPER__DEFAULTS__QUIET": "200ms"})
    stage.put(
        events.push(f"{project}_service_api", "latest", DIGEST),
        events.parameter(f"/dev/{project}/api/KEY"),
        events.deploy("api"),
    )
    stage.handled(daemon, 3, seconds=60)
    stage.rest(daemon)
    ended = daemon.deployments()
    assert ended and {it["outcome"] for it in ended} == {"dry_run"}, ended
    assert stage.calls("DescribeServices") and not stage.calls(*CHANGING)


def moto_sees_the_newest_of_twelve_revisions_as_the_base(stage: Stage) -> None:
    stage.queues()
    stage.service(breaker=None, revisions=12, runs=9)
    daemon = stage.run(stage.target(base="latest", timeout="5s"))
    stage.put(events.deploy("api"))
    stage.finished(daemon, seconds=60)
    stage.rest(daemon)
    assert [short(it["taskDefinition"]) for it in stage.updates()] == [f"{stage.cluster}-api:12"]


def moto_sees_nothing_for_an_event_of_an_unknown_repository(stage: Stage) -> None:
    stage.queues()
    stage.service(breaker=None)
    daemon = stage.run(stage.target())
    stage.put(events.push("somebody-elses", "latest", DIGEST))
    stage.handled(daemon, 1, trigger="image_pushed", result="nothing_asked")
    stage.rest(daemon)
    assert not stage.calls(*CHANGING) and stage.no_dead_letters()


def a_malformed_message_is_set_aside_on_moto(stage: Stage) -> None:
    stage.queues()
    daemon = stage.run(stage.target())
    stage.send("deploy api please")
    (letter,) = stage.dead_letters()
    assert letter["reason"] and letter["body"] == "deploy api please", letter
    stage.handled(daemon, 1, trigger="malformed", result="set_aside")
    stage.rest(daemon)


def moto_writes_another_event_as_a_request_that_is_understood(stage: Stage) -> None:
    stage.queues()
    stage.rule_of_the_example()
    stage.service("reports", image=stage.image("reports", "v1"), breaker=None)
    daemon = stage.run(stage.target("reports", timeout="5s"))
    stage.put(events.pipeline("acme-reports", "3f9d2c1"))
    (deployment,) = stage.finished(daemon, seconds=60)
    stage.rest(daemon)
    (registered,) = stage.registered()
    assert registered["containerDefinitions"][0]["image"] == stage.image("reports", "3f9d2c1"), registered
    assert "run 8841" in deployment["triggers"][0]["reason"], deployment
