"""Logs, traces and metrics: set up once a process, used everywhere by their libraries' own names."""

from __future__ import annotations

import logging
import re
import sys
from collections.abc import Generator
from contextlib import contextmanager
from typing import Any, Final

import structlog
from opentelemetry import trace
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from opentelemetry.trace import SpanContext, TraceFlags
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator
from prometheus_client import Counter, Histogram

from cairn.common.settings import Settings

REQUESTS: Final = Counter("cairn_http_requests_total", "Requests answered.", ["service", "route", "method", "status"])
REQUEST_SECONDS: Final = Histogram(
    "cairn_http_request_seconds",
    "Time to answer a request.",
    ["service", "route", "method"],
    buckets=(0.002, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10),
)

_propagator = TraceContextTextMapPropagator()


def set_up(settings: Settings, role: str) -> None:
    """Structured logs on standard error, and traces to the collector if the settings name one."""
    service = f"cairn-{settings.service}-{role}"
    if not isinstance(trace.get_tracer_provider(), TracerProvider):
        provider = TracerProvider(resource=Resource.create({"service.name": service}))
        if settings.otlp_endpoint:
            # Slow to import, and most processes on one person's machine do without.
            from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter

            endpoint = settings.otlp_endpoint.rstrip("/") + "/v1/traces"
            provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter(endpoint=endpoint)))
        trace.set_tracer_provider(provider)
    renderer: Any = (
        structlog.processors.JSONRenderer()
        if settings.log_format == "json"
        else structlog.dev.ConsoleRenderer(
            colors=sys.stderr.isatty(),
            exception_formatter=structlog.dev.plain_traceback,  # the default one prints every local variable
        )
    )
    shared: list[Any] = [
        structlog.contextvars.merge_contextvars,
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        _add_trace,
    ]
    level = getattr(logging, settings.log_level.upper())
    structlog.configure(
        processors=[*shared, structlog.processors.format_exc_info, _hide_rows, renderer],
        wrapper_class=structlog.make_filtering_bound_logger(level),
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
        cache_logger_on_first_use=True,
    )
    structlog.contextvars.bind_contextvars(service=service)
    # The libraries' own logs take the same form, and are quieter than ours.
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            processors=[
                structlog.stdlib.ProcessorFormatter.remove_processors_meta,
                structlog.processors.format_exc_info,
                _hide_rows,
                renderer,
            ],
            foreign_pre_chain=shared,
        )
    )
    logging.basicConfig(handlers=[handler], level=max(level, logging.WARNING), force=True)


def traceparent() -> str | None:
    """The current span as a W3C `traceparent`, to be carried by an event."""
    carrier: dict[str, str] = {}
    _propagator.inject(carrier)
    return carrier.get("traceparent")


def span_context(parent: str | None) -> SpanContext | None:
    """The span that an event was said in, or None where it carries none that can be read."""
    if not parent:
        return None
    context = trace.get_current_span(_propagator.extract({"traceparent": parent})).get_span_context()
    return context if context.is_valid else None


@contextmanager
def within(parent: str | None) -> Generator[None]:
    """What is said inside belongs to the trace of `parent`: an event among others of a batch has its own."""
    context = span_context(parent)
    if context is None or context.trace_id == trace.get_current_span().get_span_context().trace_id:
        yield
        return
    with trace.use_span(trace.NonRecordingSpan(context)):
        yield


# PostgreSQL repeats the row at fault ("DETAIL:  Failing row contains (...)"), asyncpg the argument.
_ROWS: Final = re.compile(r"^(DETAIL|CONTEXT|QUERY):.*$|(?<=invalid input for query argument )(.*)$", re.MULTILINE)


def _hide_rows(_: Any, __: str, entry: Any) -> Any:
    if "exception" in entry:
        entry["exception"] = _ROWS.sub("(hidden)", str(entry["exception"]))
    return entry


def _add_trace(_: Any, __: str, entry: Any) -> Any:
    context = trace.get_current_span().get_span_context()
    if context.is_valid and context.trace_flags & TraceFlags.SAMPLED:
        entry["trace_id"] = format(context.trace_id, "032x")
    return entry
