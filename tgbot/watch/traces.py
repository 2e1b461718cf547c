"""Sends what `tgbot.tracing` follows to an OpenTelemetry collector, over HTTP, in the background."""

import asyncio
import logging
import threading
from collections.abc import Sequence
from urllib.parse import urlsplit

from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SpanExporter, SpanExportResult
from opentelemetry.sdk.trace.id_generator import RandomIdGenerator
from opentelemetry.trace import NonRecordingSpan, SpanContext, StatusCode, TraceFlags, set_span_in_context
from opentelemetry.trace.span import INVALID_SPAN_ID

from tgbot import __version__, tracing
from tgbot.tracing import Span

log = logging.getLogger(__name__)

EXPORT_SECONDS = 1.0  # between two exports: a kill loses no more than that
REQUEST_SECONDS = 5.0
CLOSE_SECONDS = 3.0  # for what is left at the end
NANO = 1_000_000_000


class Traces:
    """A service: it exports spans until it is cancelled, then what is left, for CLOSE_SECONDS at most.

    Spans are dropped where the collector does not take them: nothing waits for it.
    """

    def __init__(self, url: str) -> None:
        # It says each failure again and again, with the URL; `_Exporter` says it once.
        logging.getLogger("opentelemetry").setLevel(logging.CRITICAL)
        self._ids = _Ids()
        # Not the one of the process: libraries for models would trace what people write.
        self._provider = TracerProvider(
            id_generator=self._ids,
            resource=Resource.create({"service.name": "tgbot", "service.version": __version__}),
            shutdown_on_exit=False,
        )
        processor = BatchSpanProcessor(_Exporter(url), schedule_delay_millis=EXPORT_SECONDS * 1000)
        self._provider.add_span_processor(processor)
        self._tracer = self._provider.get_tracer("tgbot")
        self._lock = threading.Lock()

    async def serve(self) -> None:
        """Follow each message until cancelled."""
        tracing.follow(self._take)
        try:
            await asyncio.get_running_loop().create_future()
        finally:
            tracing.follow(None)
            await self._close()

    async def _close(self) -> None:
        # In a thread of its own: agents may sit in all of the loop's, and it must not keep the process.
        closing = threading.Thread(target=self._provider.shutdown, name="traces", daemon=True)
        closing.start()
        deadline = asyncio.get_running_loop().time() + CLOSE_SECONDS
        while closing.is_alive() and asyncio.get_running_loop().time() < deadline:  # noqa: ASYNC110 - a thread
            await asyncio.sleep(0.02)

    def _take(self, span: Span) -> None:
        """Hand a span that has ended to the SDK; called in any thread."""
        with self._lock:  # the generator gives the ids of this one
            self._ids.trace_id, self._ids.span_id = span.trace_id, span.span_id
            started = self._tracer.start_span(
                span.name,
                set_span_in_context(NonRecordingSpan(_parent_of(span))),
                attributes={f"tgbot.{name}": value for name, value in span.attributes.items()},
                start_time=int(span.began_at * NANO),
            )
        if span.failed:
            started.set_status(StatusCode.ERROR)
        started.end(int(span.ended_at * NANO))


class _Ids(RandomIdGenerator):
    """Gives the ids that are set, so that another process gives a message the same ones."""

    trace_id: int
    span_id: int | None = None

    def generate_trace_id(self) -> int:
        return self.trace_id

    def generate_span_id(self) -> int:
        return self.span_id or super().generate_span_id()


class _Exporter(SpanExporter):
    """Exports, and logs when that begins to fail and when it succeeds again."""

    def __init__(self, url: str) -> None:
        self._exporter = OTLPSpanExporter(url, timeout=REQUEST_SECONDS)
        self._host = urlsplit(url).hostname  # without a password, which the URL may hold
        self._failing = False

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        result = self._exporter.export(spans)
        failing = result is not SpanExportResult.SUCCESS
        if failing and not self._failing:
            log.warning(
                "traces.lost host=%s: no collector takes them; is TGBOT_TRACES_URL right?", self._host
            )
        elif self._failing and not failing:
            log.info("traces.exported host=%s again", self._host)
        self._failing = failing
        return result

    def shutdown(self) -> None:
        self._exporter.shutdown()  # type: ignore[no-untyped-call] # the SDK's


def _parent_of(span: Span) -> SpanContext:
    sampled = TraceFlags(TraceFlags.SAMPLED)
    return SpanContext(span.trace_id, span.parent_id or INVALID_SPAN_ID, is_remote=True, trace_flags=sampled)
