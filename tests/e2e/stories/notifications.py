"""Who is told how deployments go: a bus, a topic, Slack, webhooks."""

import hashlib
import hmac
import json
import signal
import time
import urllib.request

import events
from daemon import Daemon
from listener import OPERATOR, SIGNING_SECRET, Listener, ended, press, slack
from processes import fetch, until
from stage import Stage


def _queue(stage: Stage, name: str) -> tuple[str, str]:
    """A queue to read from: its URL and its ARN."""
    name = f"{stage.cluster}-{name}"
    return stage.sqs.create_queue(QueueName=name)["QueueUrl"], stage.arn("sqs", name)


def _received(stage: Stage, url: str, count: int) -> list[dict]:
    """Waits until so many messages were received, and reads each as JSON."""
    bodies: list[dict] = []

    def probe() -> bool:
        answer = stage.sqs.receive_message(QueueUrl=url, MaxNumberOfMessages=10)
        for message in answer.get("Messages", []):
            bodies.append(json.loads(message["Body"]))
            stage.sqs.delete_message(QueueUrl=url, ReceiptHandle=message["ReceiptHandle"])
        return len(bodies) >= count

    until(f"{count} messages in {url}", probe)
    return bodies


def _told_bus(stage: Stage, pattern: dict) -> tuple[str, str]:
    """A bus of its own that a queue listens to by a rule: the settings that tell it, and the queue's URL."""
    url, arn = _queue(stage, "told")
    bus = f"{stage.cluster}-told"
    stage.events.create_event_bus(Name=bus)
    stage.events.put_rule(Name=f"{bus}-rule", EventBusName=bus, EventPattern=json.dumps(pattern))
    stage.events.put_targets(Rule=f"{bus}-rule", EventBusName=bus, Targets=[{"Id": "queue", "Arn": arn}])
    return f'[notify.eventbridge]\nenabled = true\nbus = "{bus}"\n', url


def _scene(stage: Stage) -> None:
    stage.queues()
    stage.with_rollouts()
    stage.service()


def each_stage_of_a_deployment_is_an_event_on_a_bus(stage: Stage) -> None:
    _scene(stage)
    notify, told = _told_bus(stage, {"source": ["lockkeeper"]})
    daemon = stage.run(notify, stage.target())
    stage.push("api", "1.4")
    stage.put(events.deploy("api", tag="1.4", requested_by="ann", commit="4f2a9c1", run_id=77, branch="main"))
    (deployment,) = ended(daemon, 1)
    got = _received(stage, told, 6)
    assert [it["detail-type"].removeprefix("Lockkeeper Deployment ") for it in got] == [
        "Started",
        "Definition Started",
        "Definition Completed",
        "Rollout Started",
        "Rollout Completed",
        "Completed",
    ], got
    end = got[-1]["detail"]
    assert end["deploymentId"] == deployment["id"] and end["version"] == "1.0", end
    assert (end["stage"], end["status"], end["outcome"]) == ("deployment", "completed", "succeeded"), end
    assert end["change"]["definition"] == deployment["definition"], end
    assert end["change"]["images"][0]["image"] == stage.image("api", "1.4"), end
    target = {"name": "api", "cluster": stage.cluster, "account": stage.account, "region": "eu-west-1"}
    assert end["target"] == {**target, "environment": None}, end
    assert end["metadata"] == {"user": "ann", "gitCommit": "4f2a9c1", "gitBranch": "main", "runId": "77"}, end
    until("each was counted", lambda: _count(daemon, "eventbridge", "sent") == 6)


def one_pattern_catches_every_failure(stage: Stage) -> None:
    _scene(stage)
    pattern = {"source": ["lockkeeper"], "detail": {"status": ["failed"], "stage": ["deployment"]}}
    notify, told = _told_bus(stage, pattern)
    daemon = stage.run(notify, stage.target())
    stage.put(events.deploy("api", tag="nope"))
    (deployment,) = ended(daemon, 1)
    (event,) = _received(stage, told, 1)
    detail = event["detail"]
    assert detail["outcome"] == deployment["outcome"] and detail["cause"] == "image_pull", detail
    assert event["detail-type"] in ("Lockkeeper Deployment Rolled Back", "Lockkeeper Deployment Failed"), event


def subscribers_of_a_topic_get_json(stage: Stage) -> None:
    _scene(stage)
    url, arn = _queue(stage, "told")
    sns = stage.client("sns")
    topic = sns.create_topic(Name=stage.cluster)["TopicArn"]
    sns.subscribe(TopicArn=topic, Protocol="sqs", Endpoint=arn)
    daemon = stage.run(f'[notify.sns]\ntopic = "{topic}"\nstages = []\n', stage.target())
    stage.put(events.deploy("api"))
    (deployment,) = ended(daemon, 1)
    (message,) = _received(stage, url, 1)
    assert message["Subject"].startswith("Lockkeeper: api: deployment succeeded"), message
    attributes = {name: it["Value"] for name, it in message["MessageAttributes"].items()}
    assert attributes == {"id": f"{deployment['id']}/succeeded", "kind": "succeeded", "target": "api"}, message
    told = json.loads(message["Message"])
    assert told["deployment"]["id"] == deployment["id"] and told["kind"] == "succeeded", told


def a_bot_updates_its_message_and_an_operator_replays_by_its_button(stage: Stage) -> None:
    _scene(stage)
    listener = Listener()
    daemon = stage.run(slack(listener), stage.target())
    stage.put(events.deploy("api", tag="1.4"))
    (failed,) = ended(daemon, 1)
    stage.rest(daemon)
    (posted,) = until("a message", lambda: listener.posts("/api/chat.postMessage"))
    update = until("an update", lambda: listener.posts("/api/chat.update"))[-1]
    assert update["ts"] == "1700000001.1" and posted["channel"] == "C012AB3CD", update
    assert "deployment failed" in update["text"] and "image_pull" in json.dumps(update), update
    buttons = next(it for it in update["blocks"] if it["type"] == "actions")["elements"]
    (replay,) = [it for it in buttons if it["action_id"] == "lockkeeper_replay"]

    assert press(daemon, listener, replay, "U999") == 403
    assert press(daemon, listener, replay, OPERATOR, secret="another") == 401
    assert not listener.posts("/answer") and stage.set_aside() == (1, 0)
    stage.push("api", "1.4")
    assert press(daemon, listener, replay, OPERATOR) == 200
    (told,) = until("an answer", lambda: listener.posts("/answer"))
    assert told["text"] == f"1 of 1 messages of deployment {failed['id']} are put back", told
    _, again = ended(daemon, 2)
    assert again["outcome"] == "succeeded" and stage.no_dead_letters(), again
    (why,) = again["triggers"]
    assert why["replayed_by"] == f"ann in Slack ({OPERATOR})" and why["replayed_by"] in why["reason"], why


def a_webhook_is_signed_and_asked_again_when_it_says_so(stage: Stage) -> None:
    _scene(stage)
    hook = Listener()
    hook.answers = [(429, {"retry-after": "2"}), (503, {})]
    daemon = stage.run(_hook(hook, "stages = []\n"), OURS, stage.target())
    stage.put(events.deploy("api"))
    ended(daemon, 1)
    until("three attempts", lambda: len(hook.heard) >= 3)
    assert hook.heard[1]["at"] - hook.heard[0]["at"] >= 2, "it was to wait"
    for request in hook.heard:
        headers = request["headers"]
        signed = f"{headers['x-lockkeeper-timestamp']}.{request['body']}".encode()
        code = hmac.new(SIGNING_SECRET.encode(), signed, hashlib.sha256).hexdigest()
        assert headers["x-lockkeeper-signature"] == f"v1={code}", headers
    assert len({it["headers"]["x-lockkeeper-id"] for it in hook.heard}) == 1
    until("it was counted", lambda: _count(daemon, "webhook_audit", "sent") == 1)
    assert _count(daemon, "webhook_audit", "retried") == 2


def a_dead_webhook_slows_no_deployment_and_no_stop(stage: Stage) -> None:
    _scene(stage)
    hook = Listener()
    hook.server.shutdown()  # It accepts, and never answers.
    daemon = stage.run(_hook(hook), stage.target())
    began = time.monotonic()
    stage.put(events.deploy("api"))
    (deployment,) = ended(daemon, 1)
    assert deployment["outcome"] == "succeeded" and time.monotonic() - began < 30
    daemon.signal(15)
    assert daemon.ends_within(11) == 0
    assert daemon.says("notifications were not delivered before the end", channel="webhook_audit")


def _three(stage: Stage) -> list[str]:
    """Three services: one gets an image, one new tasks, one an image that crashes. Says the targets."""
    stage.queues()
    stage.with_rollouts()
    for name in ("api", "web", "jobs"):
        stage.service(name, image=stage.image(name, "v1"))
    return [stage.target(name, on_push="pin") for name in ("api", "web", "jobs")]


def _end_of_three(stage: Stage, daemon: Daemon) -> set[str]:
    """The three are asked for, and end. Says the ids by which that is to be told."""
    stage.put(events.push("api", "v2", stage.push("api", "v2")), events.deploy("web"))
    stage.put(events.push("jobs", "v2-crash", stage.push("jobs", "v2-crash")))
    told = {f"{it['id']}/{it['outcome']}" for it in ended(daemon, 3)}
    assert sorted(it.split("/")[1] for it in told) == ["rolled_back", "succeeded", "succeeded"], told
    return told


OURS = "[approval]\nevents = true\n"  # moto does not say who sent a message.


def _ids(heard: list[dict]) -> set[str]:
    return {it["headers"]["x-lockkeeper-id"] for it in heard}


def an_end_that_nobody_took_before_a_kill_is_told_by_the_next_process(stage: Stage) -> None:
    settings = _three(stage)
    hook = Listener()
    hook.answers = [(500, {})] * 1_000
    daemon = stage.run(_hook(hook, "stages = []\n"), OURS, *settings)
    told = _end_of_three(stage, daemon)
    until("all were put on the queue", lambda: len(daemon.says("put on the queue: it is delivered from there")) == 3)
    assert all(it["lane"]["state"] == "idle" for it in daemon.targets()), "a dead webhook slows no lane"
    until("only these notices are kept", lambda: stage.messages() == 3)
    daemon.signal(signal.SIGKILL)
    daemon.ends_within(5)
    stage.daemons.remove(daemon)
    hook.answers, before = [], len(hook.heard)
    heir = stage.run(_hook(hook, "stages = []\n"), OURS, *settings)
    until("all is told", lambda: _ids(hook.heard[before:]) >= told, 70)
    assert _ids(hook.heard) == told, (_ids(hook.heard), told)
    assert len(hook.heard[before:]) == 3, "each once"
    stage.rest(heir)
    assert len(stage.updates()) == 3 and not any(it["triggers"] for it in heir.deployments()), "nothing is judged again"


def an_end_that_nobody_took_before_a_stop_is_told_by_the_next_process(stage: Stage) -> None:
    settings = _three(stage)
    hook = Listener()
    hook.answers = [(503, {})] * 1_000
    daemon = stage.run(_hook(hook, "stages = []\n"), OURS, *settings)
    told = _end_of_three(stage, daemon)
    daemon.signal(signal.SIGTERM)
    assert daemon.ends_within(11) == 0
    stage.daemons.remove(daemon)
    hook.answers, before = [], len(hook.heard)
    heir = stage.run(_hook(hook, "stages = []\n"), OURS, *settings)
    until("all is told", lambda: _ids(hook.heard[before:]) >= told, 20)
    stage.rest(heir)
    assert len(stage.updates()) == 3 and _ids(hook.heard) == told, (_ids(hook.heard), told)


def ends_of_one_target_that_nobody_took_before_a_kill_are_each_told_as_they_were(stage: Stage) -> None:
    _scene(stage)
    hook = Listener()
    hook.answers = [(500, {})] * 1_000
    settings = [_hook(hook, "stages = []\n"), OURS, stage.target(on_push="pin")]
    daemon = stage.run(*settings)
    stage.put(events.push("api", "v2", stage.push("api", "v2")))
    ended(daemon, 1)
    stage.put(events.push("api", "v3-crash", stage.push("api", "v3-crash")))
    ends = ended(daemon, 2)
    assert [it["outcome"] for it in ends] == ["succeeded", "rolled_back"], ends
    until("both were put on the queue", lambda: len(daemon.says("put on the queue: it is delivered from there")) == 2)
    daemon.signal(signal.SIGKILL)
    daemon.ends_within(5)
    stage.daemons.remove(daemon)
    hook.answers, before = [], len(hook.heard)
    heir = stage.run(*settings)
    until("both are told", lambda: len(hook.heard) >= before + 2, 70)
    stage.rest(heir)
    told = [json.loads(it["body"]) for it in hook.heard[before:]]
    same = ("id", "outcome", "cause", "definition", "started_at", "finished_at", "triggers")

    def said(deployment: dict) -> dict:
        return {key: deployment[key] for key in same}

    assert sorted(it["id"] for it in told) == sorted(f"{it['id']}/{it['outcome']}" for it in ends), told
    by_id = {it["deployment"]["id"]: said(it["deployment"]) for it in told}
    assert by_id == {it["id"]: said(it) for it in ends}, (by_id, ends)


def no_secret_reaches_a_log_a_page_an_event_or_a_notification(stage: Stage) -> None:
    stage.queues()
    stage.with_rollouts()
    environment = [{"name": "PASSWORD", "value": "planted-in-the-definition"}]
    container = {"name": "app", "image": stage.image("api", "latest"), "memory": 128, "environment": environment}
    stage.service(definition={"containerDefinitions": [container]})
    listener = Listener()
    bus, told = _told_bus(stage, {"source": ["lockkeeper"]})
    daemon = stage.run(
        bus,
        slack(listener),
        _hook(listener),
        '[[http.tokens]]\nname = "ann"\nrole = "operate"\nenv = "ANN"\n',
        "[approval]\nevents = true\n",  # moto does not say who sent a message.
        stage.target(),
        environment={"ANN": "planted-operate-token", "SLACK_SECRET": SIGNING_SECRET},
    )
    planted = "https://x:planted-in-a-url@ci.example/7?step=build&access_token=planted-in-a-parameter"
    planted += " token=planted1 ghp_planted2 password: planted3 Bearer planted4"
    wishes = {"repository_url": planted, "run_url": planted, "commit": planted, "reason": f"see {planted}"}
    stage.put(events.deploy("api", tag="nope", metadata={"actor": planted}, **wishes))
    (deployment,) = ended(daemon, 1)
    assert "see https://***@ci.example/7?step=build&access_token=***" in deployment["triggers"][0]["reason"], deployment
    events_told = _received(stage, told, 5)
    stage.send(json.dumps({"source": "action.deploy", "detail-type": planted, "detail": {"service": [planted]}}))
    stage.send("not json planted-in-a-body")
    inner = {"password": "planted5", "DB_PASSWORD": "planted6", "environment": {"DB": "planted7"}, "CI_JOB_TOKEN": "planted8"}
    stage.send(json.dumps({"source": "action.deploy", "detail-type": "Deploy", "detail": {"force": inner, **inner}}))
    asked = {"target": "api", "tag": "nope", "reason": f"see {planted}", "metadata": {"run_url": planted, "branch": planted}}
    request = urllib.request.Request(
        f"http://127.0.0.1:{daemon.port}/api/v1/deployments",
        json.dumps(asked).encode(),
        {"content-type": "application/json", "authorization": "Bearer planted-operate-token"},
    )
    with urllib.request.urlopen(request, timeout=5) as answer:
        assert answer.status == 202
    ended(daemon, 2)
    until("Slack and the webhook were told", lambda: _count(daemon, "slack", "sent") and len(listener.heard) > 6)
    paths = ["/", "/metrics", "/health", "/openapi.json", "/api/v1/targets", "/api/v1/deployments", "/targets/api"]
    paths += ["/dead-letters", "/api/v1/dead-letters"]
    until("all of them are set aside", lambda: stage.set_aside()[0] == 5)
    paths += [f"/deployments/{deployment['id']}", f"/api/v1/deployments/{deployment['id']}"]
    pages = {path: fetch(f"http://127.0.0.1:{daemon.port}{path}") for path in paths}
    assert all(status == 200 for status, _ in pages.values()), {path: it[0] for path, it in pages.items()}
    letters = stage.dead_letters(5)
    for letter in letters:
        del letter["body"]  # What was asked is kept as it was asked.
    shown = {**{path: body for path, (_, body) in pages.items()}, "letters": json.dumps(letters)}
    shown["events"] = json.dumps(events_told)
    shown["notifications"] = json.dumps([it["body"] for it in listener.heard])
    shown["log"] = daemon.text()
    assert shown["log"].count('"event received"') >= 5 and "access_token=***" in shown["log"]
    for where, text in shown.items():
        assert "planted" not in text, f"{where}: {text[max(0, text.index('planted') - 200) :][:400]}"


def what_is_not_ours_and_waits_is_told_at_a_stop(stage: Stage) -> None:
    _scene(stage)
    hook = Listener()
    daemon = stage.run(_hook(hook), stage.target())
    body = json.loads(stage.body(events.rollout(), "ecs-1"))
    body["resources"] = [stage.arn("ecs", f"service/{stage.cluster}/api")]
    for name in ("IN_PROGRESS", "COMPLETED"):
        body["id"] = f"ecs-{name}"
        body["detail"] |= {"deploymentId": "ecs-svc/4711", "eventName": f"SERVICE_DEPLOYMENT_{name}"}
        stage.send(json.dumps(body))
        if name == "IN_PROGRESS":
            # After a start it is not certain at once that it is not ours.
            until("it is told", lambda: hook.posts("/hook"), 100)
    stage.rest(daemon)
    assert len(hook.posts("/hook")) == 1, "its end still waits"
    daemon.signal(signal.SIGTERM)
    assert daemon.ends_within(10) == 0
    assert [it["kind"] for it in hook.posts("/hook")] == ["foreign_in_progress", "foreign_completed"]


def a_rollout_of_somebody_else_is_told_as_not_ours(stage: Stage) -> None:
    _scene(stage)
    hook = Listener()
    daemon = stage.run(_hook(hook), stage.target())
    body = json.loads(stage.body(events.rollout(), "ecs-1"))
    body["resources"] = [stage.arn("ecs", f"service/{stage.cluster}/api")]
    (service,) = stage.ecs.describe_services(cluster=stage.cluster, services=["api"])["services"]
    rollout = service["deployments"][0]
    body["detail"]["deploymentId"] = rollout["id"]
    stage.send(json.dumps(body))
    # After a start it is not certain at once that it is not ours.
    (told,) = until("it is told", lambda: hook.posts("/hook"), 100)
    assert told["kind"] == "foreign_in_progress" and told["rollout"]["rollout_id"] == rollout["id"], told
    assert told["rollout"]["definition"] == rollout["taskDefinition"].rpartition("/")[2], told
    assert "not ours" in told["text"] and told["target"]["name"] == "api", told
    assert daemon.says("that Lockkeeper did not start is in progress")
    # A deployment of ours, which somebody undoes at once; ECS tells of that in the wrong order.
    stage.push("api", "1.4")
    stage.put(events.deploy("api", tag="1.4"))
    ended(daemon, 1)
    ecs = stage.client("ecs")
    undone = ecs.update_service(cluster=stage.cluster, service="api", taskDefinition=rollout["taskDefinition"])["service"]
    undoing = undone["deployments"][0]["id"]
    for name, moment in (("COMPLETED", "10:00:09"), ("IN_PROGRESS", "10:00:05")):
        body["detail"] |= {"deploymentId": undoing, "eventName": f"SERVICE_DEPLOYMENT_{name}"}
        body |= {"id": f"ecs-{name}", "time": f"2026-11-21T{moment}Z"}
        stage.send(json.dumps(body))

    def of_undoing() -> list[str]:
        heard = [it for it in hook.posts("/hook") if it["kind"].startswith("foreign_")]
        return [it["kind"] for it in heard if it["rollout"]["rollout_id"] == undoing]

    until("both are told", lambda: len(of_undoing()) == 2, 30)
    assert of_undoing() == ["foreign_in_progress", "foreign_completed"]

    def remembered() -> list[dict]:
        _, answer = fetch(f"http://127.0.0.1:{daemon.port}/api/v1/deployments")
        return [it for it in json.loads(answer)["items"] if it["known_from"] == "ecs"]

    until("ECS's past has it", lambda: len(remembered()) == 2, 15)


def _hook(listener: Listener, more: str = "") -> str:
    return (
        f'[[notify.webhook]]\nname = "audit"\nurl = "{listener.url}/hook?key=planted-url-key"\n'
        f'secret = "{SIGNING_SECRET}"\n{more}'
    )


def _count(daemon: Daemon, channel: str, result: str) -> float:
    return daemon.metric("lockkeeper_notifications_total", channel=channel, result=result)
