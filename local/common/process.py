"""A service run as a child process: started in a session of its own, watched until healthy, stopped or killed.

A child outlives a parent that dies by SIGKILL; the starter of the services writes their process ids down.
"""

import http.client
import os
import signal
import ssl
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Self

POLL_SECONDS = 0.05
LOG_TAIL_BYTES = 4000


class ServiceFailedError(Exception):
    """A service ended before it was healthy, or did not become healthy in time; carries the end of its log."""

    def __init__(self, name: str, problem: str, log_path: Path) -> None:
        tail = log_path.read_bytes()[-LOG_TAIL_BYTES:].decode(errors="replace")
        super().__init__(f"{name} {problem}; the end of {log_path}:\n{tail}")


class ServiceProcess:
    """One started service; :meth:`start` makes it."""

    def __init__(
        self,
        name: str,
        process: subprocess.Popen[bytes],
        log_path: Path,
        health_url: str,
        health_ssl: ssl.SSLContext | None,
    ) -> None:
        self.name = name
        self._process = process
        self._log_path = log_path
        self._health_url = health_url
        self._health_ssl = health_ssl
        self._started = time.monotonic()
        self.seconds_to_healthy = 0.0  # from its start to its first answer, once it has answered

    @classmethod
    def start(
        cls,
        name: str,
        argv: Sequence[str],
        *,
        env: Mapping[str, str],
        log_path: Path,
        health_url: str,
        health_ssl: ssl.SSLContext | None = None,
    ) -> Self:
        """Start the service with exactly this environment; its output is appended to the log.

        The session of its own keeps a Ctrl-C in the terminal away from the child: the parent decides the order in
        which services end.
        """
        log_path.parent.mkdir(parents=True, exist_ok=True)
        with log_path.open("ab") as log:
            process = subprocess.Popen(  # noqa: S603 - the command line is our own
                argv,
                env=dict(env),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        return cls(name, process, log_path, health_url, health_ssl)

    @property
    def pid(self) -> int:
        """The process id, which is also the id of its process group."""
        return self._process.pid

    @property
    def alive(self) -> bool:
        """Tell whether the process still runs."""
        return self._process.poll() is None

    def wait_healthy(self, timeout: float = 60) -> None:
        """Wait until the health endpoint answers 200, for at most ``timeout`` seconds.

        Raises:
            ServiceFailedError: the process ended, or the time is over.
        """
        deadline = time.monotonic() + timeout
        while not self._healthy():
            if not self.alive:
                raise ServiceFailedError(self.name, f"ended with {self._process.returncode}", self._log_path)
            if time.monotonic() > deadline:
                raise ServiceFailedError(self.name, f"was not healthy within {timeout} s", self._log_path)
            time.sleep(POLL_SECONDS)
        self.seconds_to_healthy = time.monotonic() - self._started

    def _healthy(self) -> bool:
        try:
            with urllib.request.urlopen(  # noqa: S310 - the URL is our own, on loopback
                self._health_url, timeout=2, context=self._health_ssl
            ) as response:
                return bool(response.status == http.HTTPStatus.OK)
        except (urllib.error.URLError, ConnectionError, TimeoutError, http.client.HTTPException):
            return False

    def terminate(self, timeout: float = 10) -> None:
        """Ask the service to end, and kill it if it has not ended within ``timeout`` seconds."""
        if self.alive:
            self._process.terminate()
        try:
            self._process.wait(timeout)
        except subprocess.TimeoutExpired:
            self.kill()

    def kill(self) -> None:
        """Kill the service and everything it started, as a crash of the machine would."""
        if self.alive:
            with suppress(ProcessLookupError):  # it ended between the question and the signal
                os.killpg(self.pid, signal.SIGKILL)
        self._process.wait()
