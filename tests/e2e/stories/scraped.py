"""A real Prometheus scrapes the daemon by the project's own rules; what Grafana's dashboard asks for is there."""

import json
import re
import shutil
import urllib.parse
from pathlib import Path

import events
import processes
from daemon import Daemon
from processes import until
from stage import Stage

DEPLOY = Path(__file__).resolve().parents[3] / "deploy"

# What takes a fault, another setting, or days, to have a value: these only have to be asked without an error.
LATER = {
    "lockkeeper_drift",
    "lockkeeper_inventory_targets",
    "lockkeeper_inventory_read_seconds",
    "lockkeeper_reconcile_duration_seconds_sum",
    "lockkeeper:time_to_restore_seconds:mean30d",
}


class Prometheus:
    """One process that scrapes one daemon every second, with the rules that are shipped."""

    def __init__(self, stage: Stage, daemon: Daemon):
        port, folder = processes.free_port(), stage.folder
        config = (DEPLOY / "prometheus/prometheus.example.yml").read_text()
        for rules in ("recording.yml", "alerts.yml"):
            text = (DEPLOY / "prometheus" / rules).read_text()
            # What each minute added is what each second added here.
            text = re.sub(r"interval: [15]m", "interval: 1s", text).replace("offset 1m", "offset 1s")
            (folder / rules).write_text(text)
        found = re.search(r"    dns_sd_configs:\n(?:      .*\n)+", config)
        assert found, "the example finds the task in another way"
        config = config.replace(found[0], f'    static_configs: [{{targets: ["127.0.0.1:{daemon.port}"]}}]\n')
        config = config.replace("_interval: 15s", "_interval: 1s")
        (folder / "prometheus.yml").write_text(config)
        command = [shutil.which("prometheus"), f"--config.file={folder}/prometheus.yml", f"--storage.tsdb.path={folder}/tsdb"]
        self.process = processes.start([*command, f"--web.listen-address=127.0.0.1:{port}"], folder / "prometheus.log")
        self._url = f"http://127.0.0.1:{port}/api/v1"
        until("Prometheus has scraped", lambda: self.ask('up{job="lockkeeper"} == 1'), 60)

    def ask(self, expression: str) -> list[dict]:
        """What an expression finds now."""
        status, body = processes.fetch(f"{self._url}/query?query={urllib.parse.quote(expression, safe='')}")
        assert status in (0, 200, 503), f"{expression}: {body}"
        return json.loads(body)["data"]["result"] if status == 200 else []

    def get(self, path: str) -> dict:
        """Another path of its API."""
        return json.loads(processes.fetch(f"{self._url}/{path}")[1])["data"]


def a_real_prometheus_finds_what_rules_and_dashboard_ask_for(stage: Stage) -> None:
    stage.queues()
    stage.with_rollouts()
    stage.service(image=stage.image("api", "v1"))
    daemon = stage.run(stage.target(on_push="pin"))
    prometheus = Prometheus(stage, daemon)
    try:
        _one_success_and_one_failure(stage, daemon)
        until("the failure is reckoned", lambda: _value(prometheus, "lockkeeper:target_failing") == 1)
        assert _value(prometheus, "lockkeeper:change_failure_rate:ratio30d") == 0.5
        # Rates need two scrapes of each series.
        until("lead times are reckoned", lambda: prometheus.ask("lockkeeper:lead_time_seconds:median30d"))
        _rules_work(prometheus)
        _dashboard_finds_everything(prometheus)
        until("the letter is an alert", lambda: "LockkeeperDeadLetters" in _alerts(prometheus))
    finally:
        processes.kill(prometheus.process)


def _one_success_and_one_failure(stage: Stage, daemon: Daemon) -> None:
    stage.put(events.push("api", "v2", stage.push("api", "v2")))
    stage.finished(daemon, outcome="succeeded")
    stage.put(events.push("api", "nope", "sha256:" + "b" * 64))
    stage.finished(daemon, outcome="rolled_back")
    until("letters are counted", lambda: daemon.metric("lockkeeper_dead_letters") == 1, 60)


def _value(prometheus: Prometheus, name: str) -> float | None:
    found = prometheus.ask(f'{name}{{target="api"}}')
    return float(found[0]["value"][1]) if found else None


def _alerts(prometheus: Prometheus) -> set[str]:
    return {it["labels"]["alertname"] for it in prometheus.get("alerts")["alerts"]}


def _rules_work(prometheus: Prometheus) -> None:
    rules = [rule for group in prometheus.get("rules")["groups"] for rule in group["rules"]]
    assert len(rules) == 19, len(rules)
    failing = [f"{rule['name']}: {rule.get('lastError')}" for rule in rules if rule["health"] != "ok"]
    assert not failing, failing
    assert all(_names(rule["query"]) <= _documented() | _recorded() | {"up"} for rule in rules)


def _dashboard_finds_everything(prometheus: Prometheus) -> None:
    expressions = [
        target["expr"]
        for panel in json.loads((DEPLOY / "grafana/lockkeeper.json").read_text())["panels"]
        for target in panel.get("targets", [])
    ]
    assert len(expressions) > 30, expressions
    for expression in expressions:
        unknown = _names(expression) - _documented() - _recorded()
        assert not unknown, f"no such metric: {unknown}"
        asked = expression.replace("$__rate_interval", "30s").replace("$target", ".*").replace("$job", "lockkeeper.*")
        found = prometheus.ask(asked)
        assert found or _names(expression) & LATER, f"nothing is found: {asked}"


def _names(expression: str) -> set[str]:
    """The metrics that an expression names."""
    return set(re.findall(r"\b(?:lockkeeper[_:][a-z0-9_:]+|process_[a-z_]+|up)\b", re.sub(r'"[^"]*"', "", expression)))


def _recorded() -> set[str]:
    """The series that rules write."""
    text = (DEPLOY / "prometheus/recording.yml").read_text()
    return set(re.findall(r"record: (\S+)", text))


def _documented() -> set[str]:
    """The metrics of docs/metrics.md, a histogram with its three series."""
    text = (DEPLOY.parent / "docs/metrics.md").read_text()
    names = set(re.findall(r"^\| `([a-z_]+)(?:\{[^}]*\})?`", text, re.MULTILINE))
    return names | {f"{name}_{part}" for name in names for part in ("bucket", "sum", "count")}
