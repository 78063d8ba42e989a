"""What `wait.sh` makes of answers that a daemon gives only now and then: pages, targets that come one after another, a process on
standby that knows of none, a target that was deployed again, a load balancer that has nobody behind it; and of those that no
waiting changes."""

import json
import os
import subprocess
import sys
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

WAIT = Path(__file__).resolve().parents[2] / "deploy/github-actions/wait.sh"

# An answer: its pages, each a list of deployments; or the status of one that has none.
Look = list[list[dict]] | int


def shown(target: str, outcome: str | None, identity: str = "d-1") -> dict:
    """A deployment, as far as it matters."""
    stage = "finished" if outcome else "rollout"
    return {"id": identity, "target": target, "outcome": outcome, "stage": stage, "reason": None, "evidence": {"of": target}}


def wait(looks: list[Look], seconds: int = 20, end: str = "") -> subprocess.CompletedProcess:
    """Runs the script against an API that gives these answers, one after another, and the last for ever."""
    left = list(looks)

    class Api(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            # `path` has lost a second slash, which the daemon does not forgive.
            asked = urlsplit(f"http://lockkeeper{self.requestline.split()[1]}")
            if isinstance(left[0], int) or asked.path != "/api/v1/deployments":
                status = left[0] if isinstance(left[0], int) else 404
                if len(left) > 1:
                    left.pop(0)
                self.send_response(status)
                self.send_header("Location", "https://elsewhere.example.com/")
                self.end_headers()
                self.wfile.write(b"<html>")
                return
            query = parse_qs(asked.query)
            number = int(query.get("cursor", ["a b+0"])[0].removeprefix("a b+"))
            pages = left[0]
            following = number + 1 if number + 1 < len(pages) else None
            if following is None and len(left) > 1:
                left.pop(0)
            body = {"items": pages[number], "next": None if following is None else f"a b+{following}"}
            self.send_response(200)
            self.end_headers()
            self.wfile.write(json.dumps(body).encode())

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Api)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    environment = {
        "PATH": os.environ["PATH"],
        "LOCKKEEPER_URL": f"http://127.0.0.1:{server.server_port}{end}",
        "LOCKKEEPER_PAUSE": "0.05",
    }
    try:
        command = [str(WAIT), "e-1", str(seconds)]
        return subprocess.run(command, env=environment, capture_output=True, text=True, check=False, timeout=60)
    finally:
        server.shutdown()
        server.server_close()


def main() -> int:
    well, ill, on = shown("a/web", "succeeded"), shown("a/api", "failed"), shown("a/api", None)
    for what, looks, code in (
        ("one that succeeds", [[[]], [[well]]], 0),
        ("one that fails, and is listed behind", [[[well, ill]]], 1),
        ("one that fails, on another page", [[[well], [ill]]], 1),
        ("one that comes later", [[[well]], [[on, well]], [[well, ill]]], 1),
        ("one that is still under way", [[[on, well]], [[on, well]], [[shown("a/api", "superseded"), well]]], 0),
        ("a process on standby in between", [[[on, well]], [[]], [[well]], [[well]], [[]], [[well, ill]]], 1),
        ("one that was put back, and succeeds then", [[[shown("a/api", "succeeded", "d-2"), well, ill]]], 0),
        ("one that is superseded by what takes it along", [[[on, shown("a/api", "superseded")]], [[ill]]], 1),
    ):
        done = wait(looks)
        assert done.returncode == code, f"{what}: {done}"
        assert code == 0 or done.stdout.splitlines()[-1] == '{"of":"a/api"}', f"{what}: {done.stdout}"
    done = wait([[[on, well]]], 2)
    assert done.returncode == 2 and "has not ended everywhere" in done.stderr, done
    done = wait([503, [[shown("a/web", None)]], 502, [[well]]], end="/")
    assert done.returncode == 0, f"nobody behind the load balancer for a moment: {done}"
    for status, word in ((401, "LOCKKEEPER_TOKEN"), (403, "LOCKKEEPER_TOKEN"), (404, "LOCKKEEPER_URL"), (301, "LOCKKEEPER_URL")):
        begun = time.monotonic()
        done = wait([status], 30)
        took = time.monotonic() - begun
        assert done.returncode == 2 and word in done.stderr and str(status) in done.stderr, f"{status}: {done}"
        assert took < 10, f"{status}: it waited {took:.0f} s for what stays so"
    print("wait.sh waits for every target")
    return 0


if __name__ == "__main__":
    sys.exit(main())
