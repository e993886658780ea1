"""A proxy before an S3 server that misbehaves on purpose."""

from __future__ import annotations

import http.client
import time
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Literal
from urllib.parse import urlsplit

from tests.servers.endpoint import S3Endpoint

Fault = Literal["403", "500", "503", "cut body", "lost answer", "slow"]
"""An error instead of the answer, half a body, an answer dropped after the server acted on the
request, an answer that comes a second late."""

_ACCESS_DENIED = b"<Error><Code>AccessDenied</Code><Message>Access Denied</Message></Error>"

Faults = Callable[[str, str], Fault | None]
"""From method and path to what shall go wrong with this request."""

_SLOW_DOWN = (
    b"<Error><Code>SlowDown</Code><Message>Please reduce your request rate.</Message></Error>"
)


@contextmanager
def proxy(
    upstream: S3Endpoint, *, drop: Collection[str] = (), faults: Faults = lambda *_: None
) -> Iterator[S3Endpoint]:
    """Forward every request to `upstream`, without the headers `drop` names.

    The server behind must not check signatures (moto does not): the Host header changes.
    """
    address = urlsplit(upstream.url).netloc
    dropped = {name.lower() for name in drop}

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def forward(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
            fault = faults(self.command, self.path)
            if fault == "500":
                return self.answer(500, [], b"")
            if fault == "403":
                return self.answer(403, [("Content-Type", "application/xml")], _ACCESS_DENIED)
            if fault == "503":
                return self.answer(503, [("Content-Type", "application/xml")], _SLOW_DOWN)
            headers = {k: v for k, v in self.headers.items() if k.lower() not in dropped}
            upstream_connection = http.client.HTTPConnection(address, timeout=60)
            try:
                upstream_connection.request(self.command, self.path, body, headers)
                reply = upstream_connection.getresponse()
                data, status, fields = reply.read(), reply.status, reply.getheaders()
            finally:
                upstream_connection.close()
            if fault == "lost answer":
                self.close_connection = True
                return None
            if fault == "slow":
                time.sleep(1)
            return self.answer(status, fields, data, cut=fault == "cut body")

        def answer(
            self, status: int, fields: list[tuple[str, str]], data: bytes, *, cut: bool = False
        ) -> None:
            self.send_response_only(status)
            length = str(len(data))
            for name, value in fields:
                if name.lower() == "content-length":
                    length = value  # of a HEAD: there is no body to count
                elif name.lower() not in ("transfer-encoding", "connection"):
                    self.send_header(name, value)
            self.send_header("Content-Length", length)
            self.end_headers()
            self.wfile.write(data[: len(data) // 2] if cut else data)
            self.close_connection = self.close_connection or cut

        do_GET = do_PUT = do_POST = do_HEAD = do_DELETE = forward

        def log_message(self, *_: object) -> None:
            """Stay silent."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield replace(upstream, name="proxy", url=f"http://127.0.0.1:{server.server_port}")
    finally:
        server.shutdown()
        server.server_close()
