"""Each deployment is a trace: read by OpenTelemetry's own messages, from a process that is set up by its own variables."""

import hashlib
import signal
import time

import events
from collector import Collector, failed, said
from daemon import Daemon
from processes import until
from stage import Stage


def _scene(stage: Stage) -> None:
    stage.queues()
    stage.with_rollouts()
    stage.service(image=stage.image("api", "v1"))


def _traced_to(stage: Stage, collector: Collector, **more: str) -> Daemon:
    environment = {"OTEL_EXPORTER_OTLP_ENDPOINT": collector.url, **more}
    return stage.run(stage.target(on_push="pin"), environment=environment)


def _count(daemon: Daemon, result: str) -> float:
    return daemon.metric("lockkeeper_traces_total", result=result)


def each_deployment_is_one_trace(stage: Stage) -> None:
    _scene(stage)
    collector = Collector()
    daemon = _traced_to(
        stage,
        collector,
        OTEL_EXPORTER_OTLP_HEADERS="x-api-key=planted-key",
        OTEL_SERVICE_NAME="locks",
        OTEL_RESOURCE_ATTRIBUTES="team=shop%20floor",
    )
    stage.push("api", "v2")
    stage.put(events.deploy("api", tag="v2", traceparent=f"00-{'ab' * 16}-{'cd' * 8}-01"))
    (good,) = stage.finished(daemon, outcome="succeeded")
    stage.put(events.push("api", "crash", stage.push("api", "crash")))
    (bad,) = stage.finished(daemon, outcome="rolled_back")
    until("both were sent", lambda: _count(daemon, "sent") == 2)
    traces = collector.traces()
    assert len(traces) == 2, traces.keys()
    for deployment in (good, bad):
        spans = traces[hashlib.sha256(deployment["id"].encode()).hexdigest()[:32]]
        root = spans[0]
        assert root.name == "deployment" and not root.parent_span_id, root
        assert all(span.parent_span_id == root.span_id for span in spans[1:]), spans
        assert len({span.span_id for span in spans}) == len(spans), spans
        told = said(root.attributes)
        for name in ("outcome", "cause", "definition", "previous_definition"):
            assert told.get(f"lockkeeper.{name}") == deployment[name], (name, told, deployment)
        assert told["deployment.id"] == deployment["id"], told
        assert told["lockkeeper.target.id"] == f"{stage.account}/eu-west-1/{stage.cluster}/api", told
        assert told["lockkeeper.event.ids"] == [it["event_id"] for it in deployment["triggers"]], told
    parts = ["deployment", "delivery", "waiting", "definition", "rollout"]
    good_spans, bad_spans = traces.values()
    assert [span.name for span in good_spans] == parts and not failed(good_spans), good_spans
    (link,) = good_spans[0].links
    assert (link.trace_id.hex(), link.span_id.hex()) == ("ab" * 16, "cd" * 8), link
    # Going back is so fast here that it may be over before the next look.
    assert [span.name for span in bad_spans if span.name != "rollback"] == parts, bad_spans
    assert failed(bad_spans) == ["deployment", "rollout"], bad_spans
    assert said(good_spans[0].attributes)["lockkeeper.tags"] == ["v2"], good_spans[0]
    assert any(event.name == "task stopped" for event in bad_spans[4].events), bad_spans[4]
    sender = collector.sender()
    assert (sender["service.name"], sender["team"]) == ("locks", "shop floor"), sender
    path, headers, request = collector.posted[0]
    assert (path, headers["x-api-key"]) == ("/v1/traces", "planted-key"), (path, headers)
    assert "planted-key" not in str(request) and "planted-key" not in daemon.text()


def a_collector_that_hangs_slows_nothing_and_holds_up_no_end(stage: Stage) -> None:
    _scene(stage)
    collector = Collector(hangs=True)
    daemon = _traced_to(stage, collector)
    for tag in ("v2", "v3"):
        stage.put(events.push("api", tag, stage.push("api", tag)))
        stage.finished(daemon, count=1 if tag == "v2" else 2, outcome="succeeded", seconds=20)
    until("the collector was asked", lambda: collector.posted)
    stage.rest(daemon)
    assert _count(daemon, "sent") == 0
    began = time.monotonic()
    daemon.signal(signal.SIGTERM)
    assert daemon.ends_within(10) == 0 and time.monotonic() - began < 10
    assert daemon.says("traces were not delivered before the end", traces=2), daemon.text()[-2000:]


def a_collector_that_is_gone_is_counted_and_told_once(stage: Stage) -> None:
    _scene(stage)
    collector = Collector()
    collector.close()
    daemon = _traced_to(stage, collector)
    for tag in ("v2", "v3"):
        stage.put(events.push("api", tag, stage.push("api", tag)))
    stage.finished(daemon, outcome="succeeded")
    until("it was tried again", lambda: _count(daemon, "retried") >= 2)
    assert len(daemon.says("traces are not taken, and sent again")) == 1, daemon.text()[-2000:]


def nothing_is_sent_where_opentelemetry_is_switched_off(stage: Stage) -> None:
    _scene(stage)
    collector = Collector()
    daemon = _traced_to(stage, collector, OTEL_SDK_DISABLED="true")
    stage.put(events.push("api", "v2", stage.push("api", "v2")))
    stage.finished(daemon, outcome="succeeded")
    time.sleep(1)
    assert not collector.posted and _count(daemon, "sent") == 0
