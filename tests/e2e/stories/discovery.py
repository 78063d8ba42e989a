"""Nobody names a target: the clusters, services, tags and definitions of moto tell which there are, and what they read.

Moto is shared by all stories, so each looks for its own clusters only.
"""

import json

import boto3
import events
from processes import fetch, until
from stage import CHANGING, REGION, Stage

DIGEST = "sha256:" + "b" * 64
OTHER = "444455556666"


def _discovery(stage: Stage, **settings: object) -> str:
    settings = {"clusters": [f"{stage.cluster}*"], **settings}
    lines = ["[defaults]", 'quiet = "200ms"', 'timeout = "5s"', "[discovery]"]
    return "\n".join([*lines, *(f"{key} = {json.dumps(value)}" for key, value in settings.items())]) + "\n"


def _service(stage: Stage, name: str, container: dict, tags: dict[str, str] | None = None, ecs=None) -> None:
    """A service with one container, made by boto3 as anybody would."""
    ecs = ecs or stage.client("ecs")
    ecs.create_cluster(clusterName=stage.cluster)
    family = f"{stage.cluster}-{name}"
    container = {"name": "app", "image": stage.image(name, "latest"), "memory": 128, **container}
    ecs.register_task_definition(family=family, containerDefinitions=[container])
    ecs.create_service(
        cluster=stage.cluster,
        serviceName=name,
        taskDefinition=family,
        desiredCount=1,
        tags=[{"key": key, "value": value} for key, value in (tags or {}).items()],
    )


def _deployed(stage: Stage) -> list[str]:
    """The services that were updated, in order."""
    return [update["service"] for update in stage.updates()]


def each_change_reaches_the_services_whose_definitions_read_it(stage: Stage) -> None:
    stage.queues()
    parameter = stage.arn("ssm", "parameter/shop/KEY")
    secret = stage.arn("secretsmanager", "secret:shop/db-AbCdEf")
    file = "arn:aws:s3:::shop-env/web.env"
    _service(stage, "api", {"secrets": [{"name": "KEY", "valueFrom": parameter}]})
    _service(stage, "jobs", {"secrets": [{"name": "DB", "valueFrom": f"{secret}:password::"}]})
    _service(stage, "web", {"environmentFiles": [{"value": file, "type": "s3"}]})
    _service(stage, "site", {"image": stage.image("team/shop/site", "latest")})
    # Its owner does not want it deployed, and this one is of somebody else.
    _service(stage, "off", {"secrets": [{"name": "KEY", "valueFrom": parameter}]}, {"lockkeeper:enabled": "false"})
    _service(stage, "theirs", {"secrets": [{"name": "KEY", "valueFrom": parameter}]}, {"team": "others"})
    daemon = stage.run(_discovery(stage, exclude=["tag:team=others"]))
    names = ["api", "jobs", "off", "site", "web"]
    until("the targets are shown", lambda: [it["name"] for it in daemon.targets()] == names)
    assert "enabled" in daemon.target("off")["lane"]["why"], daemon.target("off")
    assert daemon.target("off")["refused"] in daemon.target("off")["lane"]["why"], daemon.target("off")
    for event in (
        events.parameter("/shop/KEY"),
        events.secret(secret),
        events.file("shop-env", "web.env"),
        events.push("team/shop/site", "latest", DIGEST),
    ):
        done = len(daemon.deployments())
        stage.put(event)
        stage.finished(daemon, done + 1, seconds=60)
    stage.rest(daemon)
    assert _deployed(stage) == ["api", "jobs", "web", "site"], _deployed(stage)
    stage.put(events.parameter("/shop/ANOTHER"), events.push("shop/site", "latest", DIGEST))
    stage.handled(daemon, 2, result="nothing_asked")
    assert len(_deployed(stage)) == 4 and stage.no_dead_letters()


def explain_knows_what_discovery_finds(stage: Stage) -> None:
    stage.queues()
    reads = {"secrets": [{"name": "KEY", "valueFrom": stage.arn("ssm", "parameter/shop/KEY")}]}
    _service(stage, "api", reads)
    _service(stage, "off", reads, {"lockkeeper:enabled": "false"})
    _service(stage, "web", {"environmentFiles": [{"value": "arn:aws:s3:::shop-env/web.env", "type": "s3"}]})
    daemon = stage.run(_discovery(stage))
    until("the targets are shown", lambda: len(daemon.targets()) == 3)
    body = stage.body(events.parameter("/shop/KEY"), "explained")
    answer = json.loads(daemon.command("--output", "json", "explain", "-", given=body).stdout)
    (reached,) = answer["targets"]
    assert answer["online"] and reached["name"] == "api", answer
    assert reached["because"] == "its running definition reads parameter /shop/KEY", reached
    assert reached["now"] == "a rollout would be started", reached
    others = {it["name"]: it["reason"] for it in answer["others"]}
    assert "enabled" in others["off"] and others["web"] == "its running definition reads no parameter", others
    assert not _deployed(stage), "it explains without side effects"
    stage.send(body)
    stage.finished(daemon, seconds=60)
    stage.rest(daemon)
    assert _deployed(stage) == ["api"], _deployed(stage)


def what_a_letter_for_a_service_that_was_found_leads_to_is_known(stage: Stage) -> None:
    stage.queues()
    _service(stage, "api", {"secrets": [{"name": "KEY", "valueFrom": stage.arn("ssm", "parameter/shop/KEY")}]})
    daemon = stage.run(_discovery(stage))
    until("the targets are shown", lambda: len(daemon.targets()) == 1)
    stage.sqs.send_message(QueueUrl=stage.dead_url, MessageBody=stage.body(events.parameter("/shop/KEY"), "e-1"))
    _, answer = fetch(f"http://127.0.0.1:{daemon.port}/api/v1/dead-letters")
    (letter,) = json.loads(answer)["items"]
    assert (letter["result"], letter["reaches"]) == ("asks", ["api"]), letter
    _, page = fetch(f"http://127.0.0.1:{daemon.port}/dead-letters")
    assert "reaches api" in page and "lockkeeper explain" not in page, page
    (letter,) = daemon.answer("dead-letters")["letters"]
    assert letter["result"] == "not_known", "without the daemon only the settings tell"


def a_service_is_deployed_as_its_tags_say(stage: Stage) -> None:
    stage.queues()
    _service(stage, "api", {}, {"lockkeeper:on_push": "pin", "lockkeeper:tags": "glob:release-*", "lockkeeper:name": "front"})
    daemon = stage.run(_discovery(stage))
    until("the target is shown", lambda: [it["name"] for it in daemon.targets()] == ["front"])
    stage.put(events.push("api", "feature-7", DIGEST), events.push("api", "release-1", DIGEST))
    stage.finished(daemon, seconds=60)
    stage.rest(daemon)
    (registered,) = stage.registered()
    assert registered["containerDefinitions"][0]["image"] == stage.image("api", "release-1"), registered


def a_new_service_and_a_new_definition_are_known_soon_after_ecs_tells_of_them(stage: Stage) -> None:
    stage.queues()
    _service(stage, "api", {})
    daemon = stage.run(_discovery(stage, refresh="1h"))
    read = {"secrets": [{"name": "KEY", "valueFrom": "/shop/NEW"}]}
    _service(stage, "new", read)
    body = json.loads(stage.body(events.rollout(), "rollout-1"))
    body["resources"] = [stage.arn("ecs", f"service/{stage.cluster}/new")]
    stage.send(json.dumps(body))
    until("the new service is shown", lambda: "new" in [it["name"] for it in daemon.targets()], 60)
    stage.put(events.parameter("/shop/NEW"))
    stage.finished(daemon, seconds=60)
    stage.rest(daemon)
    assert _deployed(stage) == ["new"], _deployed(stage)


def what_holds_a_service_back_is_shown_although_nothing_was_asked(stage: Stage) -> None:
    stage.queues()
    _service(stage, "api", {}, {"lockkeeper:paused": "an incident"})
    daemon = stage.run(_discovery(stage, refresh="1h"))
    lane = until("it is shown", lambda: next((it["lane"] for it in daemon.targets() if it["lane"]["hold"]), None))
    assert (lane["state"], lane["hold"]["reason"]) == ("idle", "an incident"), lane


def of_two_services_with_one_name_each_is_called_by_its_cluster(stage: Stage) -> None:
    stage.queues()
    _service(stage, "api", {})
    ecs, other = stage.client("ecs"), f"{stage.cluster}-b"
    ecs.create_cluster(clusterName=other)
    ecs.create_service(cluster=other, serviceName="api", taskDefinition=f"{stage.cluster}-api", desiredCount=1)
    daemon = stage.run(_discovery(stage))
    names = sorted([f"{stage.cluster}/api", f"{other}/api"])
    until("both are shown", lambda: [it["name"] for it in daemon.targets()] == names)
    stage.put(events.deploy(f"{other}/api", refresh=True))
    (deployment,) = stage.finished(daemon, seconds=60)
    assert deployment["target"].endswith(f"/{other}/api"), deployment
    assert daemon.says(f"of {other}/api succeeded")
    stage.rest(daemon)


def a_name_that_two_services_have_is_refused_with_both_ids(stage: Stage) -> None:
    stage.queues()
    for service in ("one", "two"):
        _service(stage, service, {}, {"lockkeeper:name": "ship"})
    tokens = '[[http.tokens]]\nname = "ci"\nrole = "operate"\nenv = "CI_TOKEN"\n'
    token = "ci-token-0123456789abcdef"
    daemon = stage.run(_discovery(stage), tokens, environment={"CI_TOKEN": token})
    ids = [f"123456789012/{REGION}/{stage.cluster}/{service}" for service in ("one", "two")]
    until("both are shown by their ids", lambda: [it["name"] for it in daemon.targets()] == ids)
    environment = {"PATH": "/usr/bin:/bin", "HOME": "/", "LOCKKEEPER_URL": f"http://127.0.0.1:{daemon.port}", "LOCKKEEPER_TOKEN": token}
    for words in (["deploy"], ["pause"], ["resume"], ["rollback"], ["status"], ["history"]):
        asked = daemon.elsewhere(*words, "ship", environment=environment)
        assert asked.returncode == 2 and all(id in asked.stderr for id in ids), (words, asked)
    unheard = daemon.elsewhere("deploy", "shi", environment=environment)
    assert unheard.returncode == 1 and "`shi`" in unheard.stderr, unheard
    stage.put(events.deploy(ids[0], refresh=True))
    (deployment,) = stage.finished(daemon, seconds=60)
    assert deployment["target"] == deployment["target_name"] == ids[0], deployment
    history = daemon.elsewhere("history", environment=environment).stdout
    assert ids[0] in history, history


def a_service_of_another_account_is_deployed_there_by_its_role(stage: Stage) -> None:
    stage.queues()
    role = f"arn:aws:iam::{OTHER}:role/lockkeeper-target"
    session = stage.client("sts").assume_role(RoleArn=role, RoleSessionName="story")["Credentials"]
    there = boto3.client(
        "ecs",
        endpoint_url=stage.endpoints["AWS_ENDPOINT_URL"],
        region_name=REGION,
        aws_access_key_id=session["AccessKeyId"],
        aws_secret_access_key=session["SecretAccessKey"],
        aws_session_token=session["SessionToken"],
    )
    read = {"secrets": [{"name": "KEY", "valueFrom": "/shop/KEY"}]}
    _service(stage, "api", read)
    _service(stage, "api", read, ecs=there)
    account = f'[[aws.accounts]]\nid = "{OTHER}"\nrole_arn = "{role}"\nexternal_id = "shop"\n'
    daemon = stage.run(_discovery(stage), account)
    ids = [f"{account}/{REGION}/{stage.cluster}/api" for account in (stage.account, OTHER)]
    until("both are shown", lambda: sorted(it["id"] for it in daemon.targets()) == sorted(ids))

    def deployments(ecs) -> list[str]:
        (service,) = ecs.describe_services(cluster=stage.cluster, services=["api"])["services"]
        return [it["id"] for it in service["deployments"]]

    before = deployments(stage.client("ecs")), deployments(there)
    body = {**json.loads(stage.body(events.parameter("/shop/KEY"), "parameter-1")), "account": OTHER}
    stage.send(json.dumps(body))
    (deployment,) = stage.finished(daemon, seconds=60)
    stage.rest(daemon)
    assert (deployment["target"], deployment["outcome"]) == (ids[1], "succeeded"), deployment
    after = deployments(stage.client("ecs")), deployments(there)
    assert before[0] == after[0] and before[1] != after[1], (before, after)


def who_can_read_nowhere_receives_nothing_and_says_so(stage: Stage) -> None:
    stage.queues()
    _service(stage, "api", {"secrets": [{"name": "KEY", "valueFrom": "/shop/KEY"}]})
    # Nothing listens there, as where a Region has no way out of the subnet.
    stage.endpoints["AWS_ENDPOINT_URL_ECS"] = "http://127.0.0.1:9"
    daemon = stage.launch(_discovery(stage))

    def parts() -> dict:
        return daemon.get("/health")["parts"] if daemon.status("/livez") == 200 else {}

    until("health tells it", lambda: parts().get("inventory", {"ok": True})["ok"] is False, 60)
    assert parts()["intake"]["detail"] == "nothing is received before the services are read", parts()
    stage.put(events.parameter("/shop/KEY"))
    until("it is not ready", lambda: daemon.status("/readyz") == 503, 60)
    assert stage.messages() == 1 and not stage.calls(*CHANGING)
    assert daemon.status("/livez") == 200
