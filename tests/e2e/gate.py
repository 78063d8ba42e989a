"""An HTTP proxy before SQS that holds back or refuses chosen calls, to catch a process between two of them."""

import json
import threading
import urllib.error
import urllib.request
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


class Gate:
    """Passes every call on, but for those of the operations that are shut, which wait until their caller is gone, and
    those of one that is refused."""

    def __init__(self, far: str, *shut: str, refused: str = ""):
        self.held: list[dict] = []
        self._open = threading.Event()
        gate = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["content-length"]))
                operation = self.headers.get("x-amz-target", "").rpartition(".")[2]
                if operation in shut and not gate._open.is_set():
                    gate.held.append(json.loads(body))
                    gate._open.wait(60)
                    return
                if operation == refused:
                    return self._answer(403, b'{"__type": "com.amazonaws.sqs#AccessDenied", "message": "not you"}')
                headers = {name: value for name, value in self.headers.items() if name.lower() != "host"}
                request = urllib.request.Request(far + self.path, body, headers, method="POST")
                try:
                    answer = urllib.request.urlopen(request, timeout=25)
                except urllib.error.HTTPError as error:
                    answer = error
                with answer:
                    self._answer(answer.status, answer.read())

            def _answer(self, status: int, text: bytes) -> None:
                self.send_response(status)
                self.send_header("content-type", "application/x-amz-json-1.0")
                self.send_header("content-length", str(len(text)))
                self.end_headers()
                self.wfile.write(text)

            def log_message(self, *_: object) -> None:
                """Says nothing."""

        class Server(ThreadingHTTPServer):
            def handle_error(self, *_: object) -> None:
                """Says nothing of callers that are gone."""

        self._server = Server(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    @property
    def url(self) -> str:
        """Where to call."""
        return f"http://127.0.0.1:{self._server.server_port}"

    def open(self) -> None:
        """Lets everything through, what waits too."""
        self._open.set()

    def shut(self) -> None:
        """Holds the calls back again that are to be held back."""
        self._open.clear()

    def close(self) -> None:
        """Lets go of everything."""
        self._open.set()
        self._server.shutdown()
        self._server.server_close()
