"""Runs the local services as processes for tests: a free port, a certificate, start, stop, kill and start again."""

import os
import ssl
import sys
from collections.abc import Mapping
from pathlib import Path

from local.common.certificates import make_certificate
from local.common.ports import free_port
from local.common.process import ServiceProcess as Process

__all__ = ["ServiceProcess", "free_port", "make_certificate", "start_service"]

REPOSITORY = Path(__file__).parents[2]


class ServiceProcess:
    """A local service under test, at ``url`` on ``port``."""

    def __init__(self, module: str, arguments: tuple[str, ...], env: Mapping[str, str] | None) -> None:
        self.port = free_port()
        self._module = module
        self._arguments = arguments
        self._env = env
        self._tls = "--tls" in arguments
        self.url = f"{'https' if self._tls else 'http'}://localhost:{self.port}"
        self.start()

    def start(self) -> None:
        """Start the service, again on the same port and state after a stop or a kill, and wait until it is healthy."""
        state = Path(self._arguments[self._arguments.index("--state") + 1])
        self._process = Process.start(
            self._module,
            [sys.executable, "-m", self._module, "--port", str(self.port), *self._arguments],
            env={**os.environ, "PYTHONPATH": str(REPOSITORY), **(self._env or {})},
            log_path=state.parent / f"{state.name}.log",
            health_url=f"{self.url}/_control/health",
            health_ssl=ssl._create_unverified_context() if self._tls else None,  # noqa: S323 - only asks for health
        )
        try:
            self._process.wait_healthy()
        except BaseException:
            self._process.kill()
            raise

    @property
    def pid(self) -> int:
        """The process id of the running service."""
        return self._process.pid

    @property
    def alive(self) -> bool:
        """Tell whether the service still runs."""
        return self._process.alive

    def stop(self) -> None:
        """End the service as the supervisor does."""
        self._process.terminate()

    def kill(self) -> None:
        """Kill the service as a crash does."""
        self._process.kill()


def start_service(module: str, *args: object, env: Mapping[str, str] | None = None) -> ServiceProcess:
    """Start ``python -m module --port N args...`` (``args`` must hold ``--state DIR``) and wait until it is healthy.

    The output goes to ``<DIR>.log`` beside the state folder.
    """
    return ServiceProcess(module, tuple(str(argument) for argument in args), env)
