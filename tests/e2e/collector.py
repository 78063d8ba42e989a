"""A collector of OpenTelemetry: takes OTLP over HTTP, and reads it with OpenTelemetry's own messages for Python."""

import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import (
    ExportTraceServiceRequest,
    ExportTraceServiceResponse,
)
from opentelemetry.proto.common.v1.common_pb2 import AnyValue, KeyValue
from opentelemetry.proto.trace.v1.trace_pb2 import Span, Status


class Collector:
    """What listens. One that hangs takes a request, and never answers."""

    def __init__(self, *, hangs: bool = False) -> None:
        self.posted: list[tuple[str, dict[str, str], ExportTraceServiceRequest]] = []
        self._leave = threading.Event()
        collector = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["content-length"]))
                headers = {name.lower(): value for name, value in self.headers.items()}
                collector.posted.append((self.path, headers, ExportTraceServiceRequest.FromString(body)))
                if hangs:
                    collector._leave.wait(60)
                    return
                answer = ExportTraceServiceResponse().SerializeToString()
                self.send_response(200)
                self.send_header("content-type", "application/x-protobuf")
                self.send_header("content-length", str(len(answer)))
                self.end_headers()
                self.wfile.write(answer)

            def log_message(self, *_: object) -> None:
                """Says nothing."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self._server.server_port}"
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    def traces(self) -> dict[str, list[Span]]:
        """The spans of each trace, by its id."""
        found: dict[str, list[Span]] = {}
        for _, _, request in self.posted:
            for resource in request.resource_spans:
                for span in (span for scope in resource.scope_spans for span in scope.spans):
                    found.setdefault(span.trace_id.hex(), []).append(span)
        return found

    def sender(self) -> dict[str, object]:
        """What the last request says of who sends it."""
        return said(self.posted[-1][2].resource_spans[0].resource.attributes)

    def close(self) -> None:
        """Listens no more."""
        self._leave.set()
        self._server.shutdown()
        self._server.server_close()


def said(attributes: list[KeyValue]) -> dict[str, object]:
    """Attributes by their names."""
    return {it.key: _value(it.value) for it in attributes}


def _value(value: AnyValue) -> object:
    kind = value.WhichOneof("value")
    if kind == "array_value":
        return [_value(it) for it in value.array_value.values]
    return getattr(value, kind)


def failed(spans: list[Span]) -> list[str]:
    """The names of those that are errors."""
    return [span.name for span in spans if span.status.code == Status.STATUS_CODE_ERROR]
