"""A double of Slack and of a webhook: keeps what is posted, answers as Slack does, and presses buttons."""

import hashlib
import hmac
import json
import threading
import time
import urllib.error
import urllib.parse
import urllib.request
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from daemon import Daemon
from processes import until

SIGNING_SECRET = "planted-signing-secret"
TOKEN = "xoxb-planted-token"
OPERATOR = "U012AB3CD"


class Listener:
    """What listens."""

    def __init__(self) -> None:
        self.heard: list[dict] = []
        self.answers: list[tuple[int, dict[str, str]]] = []
        listener = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["content-length"])).decode()
                headers = {name.lower(): value for name, value in self.headers.items()}
                listener.heard.append({"path": self.path, "headers": headers, "body": body, "at": time.monotonic()})
                status, more = listener.answers.pop(0) if listener.answers else (200, {})
                answer = json.dumps({"ok": True, "channel": "C1", "ts": f"17{len(listener.heard):08}.1"}).encode()
                self.send_response(status)
                for name, value in {"content-type": "application/json", "content-length": len(answer), **more}.items():
                    self.send_header(name, str(value))
                self.end_headers()
                self.wfile.write(answer)

            def log_message(self, *_: object) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def posts(self, path: str) -> list[dict]:
        """What was posted to a path, in order."""
        return [json.loads(it["body"]) for it in self.heard if it["path"].startswith(path)]


def slack(listener: Listener) -> str:
    return (
        f'[notify.slack]\ntoken = "{TOKEN}"\nchannel = "C012AB3CD"\napi_url = "{listener.url}/api"\n'
        f'signing_secret = "{SIGNING_SECRET}"\noperators = ["{OPERATOR}"]\n'
    )


def ended(daemon: Daemon, count: int) -> list[dict]:
    """Waits until so many deployments of ours have ended, and gives them, oldest first: ECS lists others, too."""

    def probe() -> list[dict]:
        ended = [it for it in daemon.deployments() if it["outcome"] and it["triggers"]]
        return ended if len(ended) >= count else []

    return sorted(until(f"{count} deployments have ended", probe), key=lambda it: it["finished_at"])


def press(daemon: Daemon, slack: Listener, button: dict, user: str, *, secret: str = SIGNING_SECRET) -> int:
    """Presses a button as Slack does, and says how that was answered."""
    payload = {
        "type": "block_actions",
        "user": {"id": user, "username": "ann"},
        "response_url": f"{slack.url}/answer",
        "actions": [{"action_id": button["action_id"], "value": button["value"]}],
    }
    body = urllib.parse.urlencode({"payload": json.dumps(payload)}).encode()
    stamp = str(int(time.time()))
    code = hmac.new(secret.encode(), f"v0:{stamp}:".encode() + body, hashlib.sha256).hexdigest()
    headers = {"X-Slack-Request-Timestamp": stamp, "X-Slack-Signature": f"v0={code}"}
    request = urllib.request.Request(f"http://127.0.0.1:{daemon.port}/slack/actions", body, headers)
    try:
        with urllib.request.urlopen(request, timeout=5) as answer:
            return answer.status
    except urllib.error.HTTPError as error:
        return error.code
