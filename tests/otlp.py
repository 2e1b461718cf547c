"""An OpenTelemetry collector on loopback, which keeps what it gets."""

import asyncio
import socket
from dataclasses import dataclass
from typing import Any, Self

import uvicorn
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from tests.waiting import eventually
from tgbot.playground.wire import Server


@dataclass(frozen=True)
class Received:
    """One span, as it came; times are in nanoseconds, ids as hex, "" for no parent."""

    name: str
    trace_id: str
    span_id: str
    parent_id: str
    began_at: int
    ended_at: int
    failed: bool
    attributes: dict[str, Any]


class Collector:
    """Takes traces at `url`; while it is `closed`, it refuses them. `bodies` are what came, as it came."""

    def __init__(self) -> None:
        self.closed = False
        self.refused = 0
        self.bodies: list[bytes] = []
        self.spans: list[Received] = []
        self.resource: dict[str, Any] = {}

    async def __aenter__(self) -> Self:
        listening = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{listening.getsockname()[1]}/v1/traces"
        app = Starlette(routes=[Route("/v1/traces", self._take, methods=["POST"])])
        config = uvicorn.Config(app, lifespan="off", log_config=None, timeout_graceful_shutdown=1)
        self._server = Server(config)
        self._serving = asyncio.create_task(self._server.serve(sockets=[listening]))
        return self

    async def __aexit__(self, *_: object) -> None:
        self._server.should_exit = True
        await self._serving

    async def has(self, name: str, times: int = 1) -> list[Received]:
        """Wait until there are so many spans of this name, and give them."""
        await eventually(lambda: len(self.of(name)) >= times, f"{times} spans {name!r}")
        return self.of(name)

    def of(self, name: str) -> list[Received]:
        return [span for span in self.spans if span.name == name]

    async def _take(self, request: Request) -> Response:
        body = await request.body()
        if self.closed:
            self.refused += 1
            return Response(status_code=400)
        self.bodies.append(body)
        for resource in ExportTraceServiceRequest.FromString(body).resource_spans:
            self.resource = {one.key: one.value.string_value for one in resource.resource.attributes}
            self.spans += [_received(span) for scope in resource.scope_spans for span in scope.spans]
        return Response(b"", media_type="application/x-protobuf")


def _received(span: Any) -> Received:  # noqa: ANN401 - as protobuf has it
    return Received(
        *(span.name, span.trace_id.hex(), span.span_id.hex(), span.parent_span_id.hex()),
        *(span.start_time_unix_nano, span.end_time_unix_nano),
        failed=span.status.code == span.status.STATUS_CODE_ERROR,
        attributes={one.key: getattr(one.value, one.value.WhichOneof("value")) for one in span.attributes},
    )
