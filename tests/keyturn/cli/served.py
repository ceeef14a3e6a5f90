"""An app that answers every call in one way, and the command line that calls it."""

import json
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, override

from typer.testing import CliRunner, Result

from keyturn.cli.__main__ import app


class Served:
    """What the app answers, and what it was asked."""

    def __init__(self, status: int, body: bytes, content_type: str) -> None:
        self.answers = [(status, body, content_type)]
        self.asked: list[tuple[str, str, dict[str, str], bytes]] = []
        self.retry_after: dict[int, str] = {}  # by the status of the answer
        self.failed: list[BaseException | None] = []  # of what was to be answered
        self.url = ""

    def next_answer(self) -> tuple[int, bytes, str]:
        """Return the next answer; the last one is given again and again."""
        return self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]

    def run(self, *arguments: str, **environment: str) -> Result:
        """Run a command against the app."""
        env: dict[str, str | None] = {
            "KEYTURN_URL": self.url,
            "KEYTURN_FUNCTION_KEY": "a-key",
            "KEYTURN_BY": "dana@example.com",
            "KEYTURN_POLL": "0.05",
            "XDG_CONFIG_HOME": "/nowhere",
            **environment,
        }
        return CliRunner().invoke(app, list(arguments), env=env)


@contextmanager
def serving(answer: Any, *, status: int = 200, content_type: str = "application/json") -> Iterator[Served]:
    """Serve this answer, or these where it is a tuple, on loopback."""
    answers = answer if isinstance(answer, tuple) else (answer,)
    bodies = [one if isinstance(one, bytes) else json.dumps(one).encode() for one in answers]
    served = Served(status, b"", content_type)
    served.answers = [(status, body, content_type) for body in bodies]

    class Handler(BaseHTTPRequestHandler):
        # A connection for each command and a segment for each answer, as of an app: with HTTP/1.0, which closes after
        # each, a command on a busy machine makes dozens, and one that fails is told on its terminal.
        protocol_version = "HTTP/1.1"
        wbufsize = -1

        def do_GET(self) -> None:
            size = int(self.headers.get("content-length") or 0)
            served.asked.append((self.command, self.path, dict(self.headers.items()), self.rfile.read(size)))
            code, body, kind = served.next_answer()
            self.send_response(code)
            self.send_header("content-type", kind)
            self.send_header("content-length", str(len(body)))
            if code in served.retry_after:
                self.send_header("retry-after", served.retry_after[code])
            self.end_headers()
            self.wfile.write(body)

        do_POST = do_GET  # noqa: N815 - the server's own names

        @override
        def log_message(self, format: str, *args: Any) -> None:
            """Keep quiet."""

    class Server(ThreadingHTTPServer):
        request_queue_size = 128

        @override
        def handle_error(self, request: Any, client_address: Any) -> None:
            served.failed.append(sys.exc_info()[1])

    server = Server(("127.0.0.1", 0), Handler)
    served.url = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    try:
        yield served
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
    # A command that is killed leaves its connection; whatever else went wrong here, it would have seen as a failure.
    assert [error for error in served.failed if not isinstance(error, ConnectionError)] == []
