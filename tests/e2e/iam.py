"""IAM's SimulatePrincipalPolicy, answered by our own evaluator of policies.

Of the emulators, one has no such call, and the other looks at the first resource alone and at no condition: what a policy of ours
allows only under a condition it would refuse whatever is asked.
"""

import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs
from xml.sax.saxutils import escape

from policy import allows

SPACE = "https://iam.amazonaws.com/doc/2010-05-08/"


class Iam:
    """Says of one role, whose policy is given, what it may do; knows what was asked."""

    def __init__(self, role: str, statements: list[dict]):
        self.role, self.statements = role, statements
        self.asked: set[str] = set()
        iam = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self) -> None:
                form = parse_qs(self.rfile.read(int(self.headers["content-length"])).decode())
                status, text = iam._answer({name: values[0] for name, values in form.items()})
                self.send_response(status)
                self.send_header("content-type", "text/xml")
                self.send_header("content-length", str(len(text)))
                self.end_headers()
                self.wfile.write(text)

            def log_message(self, *_: object) -> None:
                """Says nothing."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    @property
    def url(self) -> str:
        """Where to call."""
        return f"http://127.0.0.1:{self._server.server_port}"

    def close(self) -> None:
        """Lets go of everything."""
        self._server.shutdown()
        self._server.server_close()

    def _answer(self, form: dict[str, str]) -> tuple[int, bytes]:
        if form["Action"] != "SimulatePrincipalPolicy" or form["PolicySourceArn"] != self.role:
            error = f"<Error><Code>NoSuchEntity</Code><Message>{escape(form['Action'])}</Message></Error>"
            return 404, f'<ErrorResponse xmlns="{SPACE}">{error}</ErrorResponse>'.encode()
        entries = "".join(self._evaluated(form))
        result = f"<IsTruncated>false</IsTruncated><EvaluationResults>{entries}</EvaluationResults>"
        result = f"<SimulatePrincipalPolicyResult>{result}</SimulatePrincipalPolicyResult>"
        return 200, f'<SimulatePrincipalPolicyResponse xmlns="{SPACE}">{result}</SimulatePrincipalPolicyResponse>'.encode()

    def _evaluated(self, form: dict[str, str]) -> list[str]:
        context = {
            form[f"{entry}.ContextKeyName"]: _members(form, f"{entry}.ContextKeyValues")
            for entry in _entries(form, "ContextEntries", ".ContextKeyName")
        }
        found = []
        for action in _members(form, "ActionNames"):
            self.asked.add(action)
            for resource in _members(form, "ResourceArns") or ["*"]:
                decision = "allowed" if allows(self.statements, action, resource, context) else "implicitDeny"
                found.append(
                    f"<member><EvalActionName>{escape(action)}</EvalActionName>"
                    f"<EvalResourceName>{escape(resource)}</EvalResourceName><EvalDecision>{decision}</EvalDecision></member>"
                )
        return found


def _entries(form: dict[str, str], name: str, end: str = "") -> list[str]:
    """The keys of a list's members, in order."""
    found, number = [], 1
    while f"{name}.member.{number}{end}" in form:
        found.append(f"{name}.member.{number}")
        number += 1
    return found


def _members(form: dict[str, str], name: str) -> list[str]:
    return [form[it] for it in _entries(form, name)]
