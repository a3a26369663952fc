"""A collector of traces on loopback: what processes send by OTLP over HTTP, span by span."""

from __future__ import annotations

import threading
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Self

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest


@dataclass(frozen=True, slots=True)
class Seen:
    """A span. `traces` are its own and those that it is linked to, as one of a batch is to that of each event."""

    service: str
    name: str
    trace: str
    traces: frozenset[str]
    route: str | None

    def belongs(self, service: str, name: str) -> bool:
        return (self.service, self.name) == (service, name)


class Collector:
    def __init__(self) -> None:
        self.spans: list[Seen] = []
        self.raw = bytearray()
        """All that was sent, as it came."""
        collector = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["content-length"]))
                collector.raw += body
                collector.spans += _seen(ExportTraceServiceRequest.FromString(body))
                self.send_response(200)
                self.send_header("content-length", "0")
                self.end_headers()

            def log_message(self, format: str, *args: object) -> None: ...  # noqa: A002 - the name is given

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.endpoint = f"http://127.0.0.1:{self._server.server_port}"

    def __enter__(self) -> Self:
        threading.Thread(target=self._server.serve_forever, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()


def _seen(request: ExportTraceServiceRequest) -> list[Seen]:
    return [
        Seen(
            next(each.value.string_value for each in resource.resource.attributes if each.key == "service.name"),
            span.name,
            span.trace_id.hex(),
            frozenset({span.trace_id.hex(), *(link.trace_id.hex() for link in span.links)}),
            next((each.value.string_value for each in span.attributes if each.key == "http.route"), None),
        )
        for resource in request.resource_spans
        for scope in resource.scope_spans
        for span in scope.spans
    ]
