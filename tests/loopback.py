"""A server on loopback that can be told to misbehave, and counts what it sends."""

import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import unquote


@dataclass
class Server:
    """What a server holds, how it misbehaves, and what it was asked for.

    Args:
        files: Bytes by path.
        ranges: Whether it knows ranges.
        etag: Of every file; "" for none.
        headers: Others of every answer.
        cut_after: Bytes of a body after which the connection is cut, for each answer in turn.
        failures: Statuses to answer with before anything is sent, for each request in turn.
        requests: Path, Range and status of every request.
        sent: Bytes of the bodies it answered with.
    """

    files: dict[str, bytes] = field(default_factory=dict)
    ranges: bool = True
    etag: str = '"one"'
    headers: dict[str, str] = field(default_factory=dict)
    cut_after: list[int] = field(default_factory=list)
    failures: list[int] = field(default_factory=list)
    requests: list[tuple[str, str, int]] = field(default_factory=list)
    sent: int = 0
    url: str = ""

    def respond(self, handler: BaseHTTPRequestHandler) -> None:
        asked = handler.headers.get("Range", "")
        path = unquote(handler.path.partition("?")[0])
        body = self.files.get(path)
        if self.failures:
            status, body = self.failures.pop(0), b""
        elif body is None:
            status, body = 404, b""
        else:
            status = 200
        headers = {**self.headers, **({"ETag": self.etag} if self.etag else {})}
        match = re.fullmatch(r"bytes=(\d+)-(\d*)", asked)
        start = int(match[1]) if match else 0
        stop = int(match[2]) + 1 if match and match[2] else len(body)
        same = handler.headers.get("If-Range", self.etag) == self.etag
        if status == 200 and match and self.ranges and same:
            status = 206 if start < len(body) else 416
            end = f"{start}-{min(stop, len(body)) - 1}" if status == 206 else "*"
            headers["Content-Range"] = f"bytes {end}/{len(body)}"
            body = body[start:stop]
        if handler.command == "GET":
            self.requests.append((path, asked, status))
        handler.send_response(status)
        for name, value in {**headers, "Content-Length": str(len(body))}.items():
            handler.send_header(name, value)
        handler.end_headers()
        if handler.command == "HEAD":
            return
        if status < 300 and self.cut_after:
            body = body[: self.cut_after.pop(0)]
            handler.close_connection = True
        self.sent += len(body)  # before the other side can have it all, and ask how much it was
        handler.wfile.write(body)


@contextmanager
def serve() -> Iterator[Server]:
    """Run a server that holds nothing yet."""
    state = Server()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            state.respond(self)

        do_HEAD = do_GET  # noqa: N815

        def log_message(self, *_: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as http:
        state.url = f"http://127.0.0.1:{http.server_port}"
        threading.Thread(target=http.serve_forever, args=(0.01,), daemon=True).start()
        yield state
        http.shutdown()
