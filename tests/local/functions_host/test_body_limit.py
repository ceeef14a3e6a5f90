"""The bound on request bodies: the host answers 413 before it has read more than the bound, however a body comes."""

import socket
from collections.abc import Iterator
from urllib.parse import urlsplit

import pytest

from tests.local.functions_host.conftest import StartHost
from tests.local.functions_host.host_process import SampleHost

LIMIT = 65_536
LARGE = 60 * 1024 * 1024
SECONDS = 10  # an answer that waits for the rest of the body never comes


@pytest.fixture
def bounded(start_host: StartHost) -> SampleHost:
    """A host with the app setting that bounds bodies."""
    return start_host({"FUNCTIONS_REQUEST_BODY_SIZE_LIMIT": str(LIMIT)})


def answer_to(host: SampleHost, headers: str, body: Iterator[bytes]) -> str:
    """Send a request that never ends, and return the status line and headers of its answer."""
    address = urlsplit(host.process.url)
    assert address.hostname is not None
    with socket.create_connection((address.hostname, address.port or 0), timeout=SECONDS) as connection:
        connection.sendall(f"POST /api/echo/1 HTTP/1.1\r\nHost: {address.netloc}\r\n{headers}\r\n\r\n".encode())
        for part in body:
            connection.sendall(part)
        return connection.recv(65_536).decode()


def chunks(size: int) -> Iterator[bytes]:
    """Yield so many bytes in chunks, and no end of them."""
    for length in [4096] * (size // 4096) + [size % 4096] * (size % 4096 > 0):
        yield b"%x\r\n%b\r\n" % (length, b"x" * length)


def test_a_body_that_says_its_length_is_refused_unread(bounded: SampleHost) -> None:
    """Not one byte of the 60 MiB was sent when the answer comes."""
    answer = answer_to(bounded, f"Content-Length: {LARGE}", iter(()))

    assert answer.startswith("HTTP/1.1 413 ")
    assert "connection: close" in answer.lower()


def test_a_body_that_does_not_is_refused_at_the_bound(bounded: SampleHost) -> None:
    """One byte more than the bound is all that was sent, and the body has not come to its end."""
    answer = answer_to(bounded, "Transfer-Encoding: chunked", chunks(LIMIT + 1))

    assert answer.startswith("HTTP/1.1 413 ")
    assert "connection: close" in answer.lower()


def test_a_body_of_the_bound_is_taken(bounded: SampleHost) -> None:
    """Whether it says its length or not."""
    whole = bounded.call("POST", "/api/echo/1", b"x" * LIMIT)
    chunked = answer_to(
        bounded, "Transfer-Encoding: chunked\r\nConnection: close", iter([*chunks(LIMIT), b"0\r\n\r\n"])
    )

    assert (whole.status, len(whole.json["body"])) == (201, 2 * LIMIT)
    assert chunked.startswith("HTTP/1.1 201 ")


@pytest.mark.parametrize("text", ["", "64k"])
def test_a_bound_that_is_no_number_is_the_platforms(start_host: StartHost, text: str) -> None:
    """The real host ignores what it cannot read: 100 MB."""
    host = start_host({"FUNCTIONS_REQUEST_BODY_SIZE_LIMIT": text})

    assert host.call("POST", "/api/echo/1", b"x" * (LIMIT + 1)).status == 201
