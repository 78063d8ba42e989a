"""The product as a process."""

import json
import os
import re
import signal
import subprocess
import urllib.parse
from pathlib import Path

import processes


class Tool:
    """The binary with its settings and environment."""

    def __init__(self, folder: Path, settings: Path, environment: dict[str, str]):
        # Not where the project's own `config` folder is.
        self._where = {"cwd": folder, "env": environment}
        self._command = [os.environ["LOCKKEEPER_BIN"], "--config", str(settings)]

    def command(self, *words: str, given: str = "", seconds: float = 20) -> subprocess.CompletedProcess:
        """Another command of the binary, with the same settings and environment."""
        command = [*self._command, *words]
        return subprocess.run(
            command, input=given, capture_output=True, text=True, check=False, timeout=seconds, **self._where
        )

    def elsewhere(self, *words: str, environment: dict[str, str]) -> subprocess.CompletedProcess:
        """A command of the binary without these settings, in another environment."""
        command = [self._command[0], *words]
        where = {**self._where, "env": environment}
        return subprocess.run(command, capture_output=True, text=True, check=False, timeout=120, **where)

    def answer(self, *words: str, code: int = 0) -> dict:
        """What a command says in JSON, if it ends with this code."""
        done = self.command(*words, "--output", "json", seconds=60)
        assert done.returncode == code, f"{words} ended with {done.returncode}: {done.stdout}{done.stderr}"
        return json.loads(done.stdout)

    def start(self, output: Path, *words: str) -> subprocess.Popen:
        """Starts a command without waiting for its end."""
        return processes.start([*self._command, *words], output, **self._where)


class Daemon(Tool):
    """One `lockkeeper run`."""

    def __init__(self, folder: Path, settings: Path, environment: dict[str, str], name: str):
        self.port = processes.free_port()
        self.log_file = folder / f"{name}.log"
        super().__init__(folder, settings, {**environment, "LOCKKEEPER__HTTP__LISTEN": f"127.0.0.1:{self.port}"})
        self.process = self.start(self.log_file, "run")

    def wait_until_ready(self) -> None:
        """Until it receives."""

        def probe() -> bool:
            assert self.process.poll() is None, f"it ended with {self.process.returncode}: {self.text()[-2000:]}"
            return self.status("/readyz") == 200

        processes.until("the daemon is ready", probe, 60)

    def text(self) -> str:
        """Everything that it has written."""
        return self.log_file.read_text(errors="replace")

    def logs(self) -> list[dict]:
        """Its log lines, without one that is being written."""
        whole = self.text().rpartition("\n")[0]
        return [json.loads(line) for line in whole.splitlines() if line.startswith("{")]

    def says(self, words: str, **fields: object) -> list[dict]:
        """The log lines that contain these words and have these fields."""
        found = [line for line in self.logs() if words in line["message"]]
        return [line for line in found if all(line["fields"].get(name) == value for name, value in fields.items())]

    def status(self, path: str) -> int:
        """The status of a GET."""
        return processes.fetch(self._url(path))[0]

    def get(self, path: str) -> dict:
        """The JSON that a GET answers, whatever its status."""
        return json.loads(processes.fetch(self._url(path))[1])

    def target(self, name: str) -> dict:
        """A target as the API shows it."""
        return self.get(f"/api/v1/targets/{urllib.parse.quote(name, safe='')}")

    def targets(self) -> list[dict]:
        """All targets as the API shows them."""
        return self.get("/api/v1/targets?limit=200")["items"]

    def deployments(self, **filters: str) -> list[dict]:
        """Those of its own deployments as the API shows them, newest first; not what it only found in ECS."""
        return [it for it in self.all_deployments(**filters) if it["known_from"] == "lane"]

    def all_deployments(self, **filters: str) -> list[dict]:
        """Deployments as the API shows them, newest first."""
        query = urllib.parse.urlencode({"limit": "200", **filters})
        return self.get(f"/api/v1/deployments?{query}")["items"]

    def metric(self, name: str, **labels: str) -> float:
        """The sum of a metric's series that have these labels."""
        total = 0.0
        for line in processes.fetch(self._url("/metrics"))[1].splitlines():
            series, _, value = line.rpartition(" ")
            found = dict(re.findall(r'(\w+)="([^"]*)"', series))
            if series.partition("{")[0] == name and all(found.get(key) == label for key, label in labels.items()):
                total += float(value)
        return total

    def signal(self, number: signal.Signals) -> None:
        """Sends it a signal."""
        self.process.send_signal(number)

    def ends_within(self, seconds: float) -> int:
        """Waits for its end, and gives its exit code."""
        try:
            return self.process.wait(seconds)
        except subprocess.TimeoutExpired:
            raise processes.Late(f"the daemon did not end within {seconds:g} s") from None

    def _url(self, path: str) -> str:
        return f"http://127.0.0.1:{self.port}{path}"
