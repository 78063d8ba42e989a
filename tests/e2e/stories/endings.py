"""How the process begins, ends, and takes over what another one left."""

import json
import signal
import time

import events
from processes import until
from relay import Relay
from stage import Service, Stage


def readiness_follows_the_queue(stage: Stage) -> None:
    relay = Relay(*stage.port_of(stage.emulator.url))
    stage.queues()
    stage.with_rollouts()
    stage.service()
    stage.endpoints["AWS_ENDPOINT_URL_SQS"] = relay.url
    daemon = stage.run(stage.target())
    relay.cut()
    until("it is not ready", lambda: daemon.status("/readyz") == 503, 90)
    assert daemon.status("/livez") == 200 and daemon.status("/health") == 503
    report = daemon.get("/readyz")
    assert report["parts"]["intake"]["ok"] is False and report["parts"]["loop"]["ok"] is True, report
    assert daemon.metric("lockkeeper_healthy", part="intake") == 0
    assert daemon.metric("lockkeeper_aws_requests_total", operation="ReceiveMessage", result="unreachable") > 0
    until("it is told", lambda: daemon.says("not healthy: intake"))
    relay.mend()
    until("it is ready again", lambda: daemon.status("/readyz") == 200, 90)
    assert daemon.metric("lockkeeper_healthy", part="intake") == 1
    until("it is told", lambda: daemon.says("healthy again: intake"))
    stage.put(events.deploy("api"))
    (deployment,) = stage.finished(daemon)
    assert deployment["outcome"] == "succeeded", deployment
    relay.cut()


def after_a_kill_nothing_is_started_twice(stage: Stage) -> None:
    stage.queues()
    stage.with_rollouts()
    api = _rolls_out_slowly(stage)
    stage.daemons[0].signal(signal.SIGKILL)
    stage.daemons[0].ends_within(5)
    heir = stage.run(stage.target(on_push="pin"))
    _is_adopted(stage, api, heir, seconds=70)


def a_stopped_process_ends_in_time_and_its_heir_adopts_the_rollout(stage: Stage) -> None:
    stage.queues()
    stage.with_rollouts()
    api = _rolls_out_slowly(stage)
    first = stage.daemons[0]
    began = time.monotonic()
    first.signal(signal.SIGTERM)
    assert first.ends_within(10) == 0, first.text()[-2000:]
    assert first.says("handed back")
    heir = stage.run(stage.target(on_push="pin"))
    # It did not wait for the visibility of 30 s to end.
    until("the heir has the message", lambda: heir.deployments(), 15)
    assert time.monotonic() - began < 25
    assert not api.is_steady(), "the rollout ended before it could be adopted"
    _is_adopted(stage, api, heir)


def _rolls_out_slowly(stage: Stage) -> Service:
    """A process has started a rollout that takes a while."""
    api = stage.service(image=stage.image("api", "v1"))
    stage.world.dials(start_ms=75_000)
    daemon = stage.run(stage.target(on_push="pin"))
    stage.put(events.push("api", "v2", stage.push("api", "v2")))
    until("the rollout is watched", lambda: daemon.target("api")["lane"]["state"] == "watching")
    return api


def _is_adopted(stage: Stage, api: Service, heir, seconds: float = 40) -> None:
    """The heir sees the rollout to its end, and says so once."""
    (deployment,) = stage.finished(heir, seconds=seconds)
    stage.rest(heir)
    assert deployment["outcome"] in ("succeeded", "already_running"), deployment
    assert len(heir.deployments()) == 1 and not stage.daemons[0].says("deployment", outcome="succeeded")
    assert len(stage.updates()) == 1 and len(stage.registered()) == 1
    assert api.image() == stage.image("api", "v2") and api.is_steady()
    assert stage.no_dead_letters()


def an_interrupt_ends_it_in_good_order(stage: Stage) -> None:
    stage.queues()
    stage.with_rollouts()
    stage.service()
    daemon = stage.run(stage.target())
    daemon.signal(signal.SIGINT)
    assert daemon.ends_within(10) == 0


def a_second_signal_ends_it_at_once(stage: Stage) -> None:
    stage.queues()
    stage.with_rollouts()
    _rolls_out_slowly(stage)
    daemon = stage.daemons[0]
    daemon.signal(signal.SIGTERM)
    until("it stops", lambda: daemon.says("stopping"), 5)
    daemon.signal(signal.SIGTERM)
    daemon.ends_within(1)
    assert daemon.says("second signal")


def a_stop_while_messages_wait_hands_them_back(stage: Stage) -> None:
    stage.queues()
    stage.with_rollouts()
    names = ["one", "two", "three", "four", "five"]
    daemon = stage.run(*(stage.target(name, quiet="30s") for name in names))
    stage.put(*(events.deploy(name) for name in names))
    until("all are held", lambda: daemon.metric("lockkeeper_leases_held") == len(names))
    daemon.signal(signal.SIGTERM)
    assert daemon.ends_within(10) == 0
    received: set[str] = set()

    def probe() -> bool:
        answer = stage.sqs.receive_message(QueueUrl=stage.queue_url, MaxNumberOfMessages=10, VisibilityTimeout=600)
        received.update(json.loads(message["Body"])["detail"]["service"] for message in answer.get("Messages", []))
        return len(received) == len(names)

    # The visibility of 30 s would end later.
    until("all can be received again", probe, 10)
    assert not stage.updates()


def a_fifo_queue_is_refused(stage: Stage) -> None:
    stage.queues()
    fifo = {"FifoQueue": "true", "ContentBasedDeduplication": "true"}
    url = stage.sqs.create_queue(QueueName="events.fifo", Attributes=fifo)["QueueUrl"]
    daemon = stage.launch(stage.target(), url=url)
    assert daemon.ends_within(20) != 0
    assert "FIFO" in daemon.text() and "standard queue" in daemon.text(), daemon.text()


def a_queue_without_a_dead_letter_queue_is_refused(stage: Stage) -> None:
    stage.queues(redrive=False)
    daemon = stage.launch(stage.target())
    assert daemon.ends_within(20) != 0
    assert "dead-letter queue" in daemon.text() and "dead_letter_url" in daemon.text(), daemon.text()


def a_queue_that_does_not_exist_is_refused(stage: Stage) -> None:
    stage.queues()
    daemon = stage.launch(stage.target(), url=stage.queue_url + "-missing")
    assert daemon.ends_within(20) != 0
    assert "names no queue that exists" in daemon.text(), daemon.text()


def without_a_region_it_does_not_start(stage: Stage) -> None:
    stage.queues()
    daemon = stage.launch(stage.target(), without="AWS_REGION")
    assert daemon.ends_within(20) != 0
    assert "AWS_REGION" in daemon.text(), daemon.text()


def wrong_settings_are_told_all_at_once(stage: Stage) -> None:
    stage.queues()
    daemon = stage.launch(stage.target(on_push="perhaps", quiet="soon", colour="red"))
    assert daemon.ends_within(20) == 2
    for wrong in ("on_push", "quiet", "colour"):
        assert wrong in daemon.text(), daemon.text()


def the_health_command_tells_whether_the_daemon_is_well(stage: Stage) -> None:
    stage.queues()
    daemon = stage.run(stage.target())
    well = daemon.command("health")
    assert well.returncode == 0, well
    daemon.signal(signal.SIGKILL)
    daemon.ends_within(5)
    gone = daemon.command("health")
    assert gone.returncode == 1 and gone.stderr + gone.stdout, gone


def what_explain_says_is_what_the_daemon_does(stage: Stage) -> None:
    stage.queues()
    stage.with_rollouts()
    stage.service("api")
    daemon = stage.run(stage.target("api"), stage.target("web"))
    body = stage.body(events.push("api", "latest", stage.push("api", "latest")), "explained")
    explained = daemon.command("explain", "-", given=body)
    reached, _, others = explained.stdout.partition("Nothing is asked")
    assert explained.returncode == 0 and "api" in reached and "web" in others, explained
    assert not stage.updates() and not daemon.deployments(), "it explains without side effects"
    stage.send(body)
    (deployment,) = stage.finished(daemon)
    stage.rest(daemon)
    assert deployment["target"].endswith("/api") and len(daemon.deployments()) == 1, deployment
