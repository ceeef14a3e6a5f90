"""The local Azure as one object: up, down, and each service on its own for tests that kill and restart."""

import contextlib
import json
import ssl
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from local.common.certificates import make_certificate
from local.common.files import write_private
from local.common.process import ServiceProcess
from local.identity.signing_key import PUBLIC_NAME, load_signing_key
from local.supervisor import environment
from local.supervisor.layout import SERVICES, Layout
from local.supervisor.options import Options
from local.supervisor.tenant import ensure_principals, ensure_webhook_secret

STARTUP_SECONDS = 60
HOSTS = ("functions_host", "second_host")
MODULES = {"second_host": "functions_host", "drill_vault": "key_vault"}


class LocalAzure:
    """One local Azure on one state folder. A second one on the same folder finds its data."""

    def __init__(self, options: Options) -> None:
        state = options.state.resolve()
        state.mkdir(parents=True, exist_ok=True)
        self.options = options
        self.layout = Layout.of(state)
        self.server_pem, self.ca_bundle = make_certificate(state / "tls")
        self.headers = ensure_principals(
            self.layout.folder("identity"),
            document_migrations=options.document_migrations,
            drill_vault=options.drill_vault,
        )
        self.approval_secret = ensure_webhook_secret(state / "approval_secret")
        self.actiontrail_secrets = state / "actiontrail_secrets"
        ensure_webhook_secret(self.actiontrail_secrets)
        load_signing_key(self.layout.folder("identity"))
        self.identity_key = self.layout.folder("identity") / PUBLIC_NAME
        self.processes: dict[str, ServiceProcess] = {}

    @contextlib.contextmanager
    def running(self, report: Callable[[str], None] = lambda _line: None) -> Iterator["LocalAzure"]:
        """Start the platform, seed it, start the app and the backend on it; stop at the end whatever was started.

        ``told`` is given a line of each as it comes up.
        """
        try:
            for service in ("identity", "key_vault", "cosmos", "resource_manager", "actiontrail", "inbox", "task_hub"):
                report(self._line(self.start(service)))
            if self.options.drill_vault:
                report(self._line(self.start("drill_vault")))
            self.seed()
            report(f"{'seed':<17} containers, {environment.MEK_NAME} and {self.options.deks} notes are there")
            for service in ("functions_host", "backend"):
                report(self._line(self.start(service)))
            self.write_endpoints()
            yield self
        finally:
            self.down()

    def start(self, service: str) -> ServiceProcess:
        """Start a service, or start it again after it was stopped or killed, and wait until it is healthy.

        Only tests start ``second_host``, another instance of the app, and, unless the options ask for it,
        ``drill_vault``, an empty vault of the same subscription and geography.
        """
        if (running := self.processes.get(service)) is not None and running.alive:
            return running
        argv, env = self._command(service)
        control = "task_hub_control" if service == "task_hub" else service
        url = self.layout.url(control)
        process = ServiceProcess.start(
            service,
            [str(self._python(service)), "-m", f"local.{MODULES.get(service, service)}", *argv],
            env=env,
            log_path=self.layout.log(service),
            health_url=f"{url}/_control/health",
            health_ssl=self.tls_context() if url.startswith("https") else None,
        )
        self.processes[service] = process
        process.wait_healthy(STARTUP_SECONDS)
        return process

    def _line(self, process: ServiceProcess) -> str:
        url = self.layout.url("task_hub_control" if process.name == "task_hub" else process.name)
        return f"{process.name:<17} {url:<24} up after {process.seconds_to_healthy:.1f} s"

    def _python(self, service: str) -> Path:
        return self.options.app_python if service in HOSTS else Path(sys.executable)

    def reconfigure(self, settings: Mapping[str, str]) -> None:
        """Run the app on these settings on top of the defaults, as a platform does: by starting it again."""
        if settings != self.options.settings:
            self.options = replace(self.options, settings=dict(settings))
            self.processes["functions_host"].terminate()
            self.start("functions_host")

    def seed(self) -> None:
        """Create what is missing: containers, the MEK, and as many notes as the options ask for.

        Raises:
            subprocess.CalledProcessError: seeding failed; its output is in the log.
        """
        env = {
            **self.operator_environment(),
            "KEYTURN_CONTAINER": environment.RUN_CONTAINER,
            "COSMOS_MASTER_KEY": (self.layout.folder("cosmos") / "master_key").read_text().strip(),
        }
        self._run("local.seed", ["--bits", str(self.options.bits)], env)
        if self.options.deks:
            self._run("local.backend.seed", ["--notes", str(self.options.deks), *self.options.older_rows], env)

    def _run(self, module: str, argv: list[str], env: dict[str, str]) -> None:
        with self.layout.log("seed").open("ab") as log:
            subprocess.run(  # noqa: S603 - the command line is our own
                [sys.executable, "-m", module, *argv], env=env, stdout=log, stderr=log, check=True
            )

    def down(self) -> None:
        """Stop what this object started, in reverse, and nothing else."""
        for service in reversed(SERVICES):
            if (process := self.processes.pop(service, None)) is not None:
                process.terminate()

    def tls_context(self) -> ssl.SSLContext:
        """Return a client-side TLS context that trusts this local Azure only."""
        return ssl.create_default_context(cafile=str(self.ca_bundle))

    def endpoints(self) -> dict[str, Any]:
        """Return what a client needs to know, as written to ``endpoints.json``."""
        keys = json.loads((self.layout.folder("functions_host") / "keys.json").read_bytes())
        return {
            "vaultUrl": self.layout.url("key_vault"),
            "drillVaultUrl": self.layout.url("drill_vault"),
            "mekName": environment.MEK_NAME,
            "cosmosEndpoint": self.layout.url("cosmos"),
            "cosmosDatabase": environment.COSMOS_DATABASE,
            "dekContainer": environment.DEK_CONTAINER,
            "notesContainer": environment.NOTES_CONTAINER,
            "functionsUrl": self.layout.url("functions_host"),
            "functionKey": keys["function"],
            "systemKey": keys["system"],
            "actiontrailUrl": self.layout.url("actiontrail"),
            "inboxUrl": self.layout.url("inbox"),
            "resourceManagerUrl": self.layout.url("resource_manager"),
            "backendUrl": self.layout.url("backend"),
            "identityEndpoint": f"{self.layout.url('identity')}/msi/token",
            "caBundle": str(self.ca_bundle),
            "approvalSecret": self.approval_secret,
            "pids": {name: process.pid for name, process in self.processes.items()},
            "environment": self.client_environment("operator"),
            "appEnvironment": self.app_environment(),
        }

    def write_endpoints(self) -> None:
        """Write ``endpoints.json``, readable by its owner only: it holds keys; and ``bin/`` beside it."""
        self.layout.write_programs()
        write_private(self.layout.state / "endpoints.json", json.dumps(self.endpoints(), indent=2).encode())

    def client_environment(self, principal: str) -> dict[str, str]:
        """Return what a client process must export to act as this principal."""
        return environment.client_environment(self.layout, self.headers[principal], self.ca_bundle)

    def app_environment(self) -> dict[str, str]:
        """Return the function app's whole environment: its settings, and its identity."""
        env = environment.app_environment(
            self.layout, self.options, self.headers["keyturn"], self.ca_bundle, self.approval_secret
        )
        return {"ACTIONTRAIL_SECRETS": self.actiontrail_secrets.read_text(), **env}

    def operator_environment(self) -> dict[str, str]:
        """Return the whole environment of a client process that acts as the operator."""
        return environment.backend_environment(self.layout, self.headers["operator"], self.ca_bundle)

    def _command(self, service: str) -> tuple[list[str], dict[str, str]]:
        commands: dict[str, Callable[[], tuple[list[str], dict[str, str]]]] = {
            "identity": self._identity,
            "key_vault": self._key_vault,
            "drill_vault": self._drill_vault,
            "cosmos": self._cosmos,
            "resource_manager": self._resource_manager,
            "actiontrail": self._actiontrail,
            "inbox": self._inbox,
            "task_hub": self._task_hub,
            "functions_host": self._functions_host,
            "second_host": self._second_host,
            "backend": self._backend,
        }
        argv, env = commands[service]()
        return ["--port", str(self.layout.ports[service]), *argv], env

    def _state(self, service: str) -> list[str]:
        return ["--state", str(self.layout.folder(service))]

    def _guarded(self) -> list[str]:
        return ["--tls", str(self.server_pem), "--identity-key", str(self.identity_key)]

    def _identity(self) -> tuple[list[str], dict[str, str]]:
        argv = [*self._state("identity"), "--token-seconds", str(self.options.token_seconds)]
        return argv, environment.plain_environment()

    def _key_vault(self) -> tuple[list[str], dict[str, str]]:
        limits = ["--limits", self.options.vault_limits, "--latency-ms", str(self.options.vault_latency_ms)]
        return [*self._state("key_vault"), *self._guarded(), *limits], environment.plain_environment()

    def _drill_vault(self) -> tuple[list[str], dict[str, str]]:
        folder = self.layout.folder("drill_vault")
        folder.mkdir(parents=True, exist_ok=True)
        write_private(folder / "backup_key", (self.layout.folder("key_vault") / "backup_key").read_bytes())
        argv = [*self._state("drill_vault"), *self._guarded(), "--limits", "off", "--throw-away"]
        return argv, environment.plain_environment()

    def _cosmos(self) -> tuple[list[str], dict[str, str]]:
        argv = [*self._state("cosmos"), *self._guarded(), *self.options.cosmos()]
        return argv, environment.plain_environment()

    def _resource_manager(self) -> tuple[list[str], dict[str, str]]:
        argv = [*self._state("resource_manager"), *self._guarded(), "--account", environment.COSMOS_RESOURCE_ID]
        argv += ["--cosmos", self.layout.url("cosmos"), "--ca", str(self.ca_bundle)]
        return argv, environment.plain_environment()

    def _actiontrail(self) -> tuple[list[str], dict[str, str]]:
        argv = ["--tls", str(self.server_pem), "--secrets", str(self.actiontrail_secrets)]
        return [*self._state("actiontrail"), *argv], environment.plain_environment()

    def _inbox(self) -> tuple[list[str], dict[str, str]]:
        return self._state("inbox"), environment.plain_environment()

    def _task_hub(self) -> tuple[list[str], dict[str, str]]:
        argv = ["--control-port", str(self.layout.ports["task_hub_control"])]
        seed = self.options.duplicate_events
        argv += ["--duplicate-events", str(seed)] if seed is not None else []
        return argv, environment.plain_environment()

    def _functions_host(self) -> tuple[list[str], dict[str, str]]:
        hub = f"127.0.0.1:{self.layout.ports['task_hub']}"
        argv = [*self._state("functions_host"), "--app", str(self.options.app), "--task-hub", hub]
        argv += ["--sign-in", str(self.identity_key)] if self.options.sign_in else []
        return argv, self.app_environment()

    def _second_host(self) -> tuple[list[str], dict[str, str]]:
        argv, env = self._functions_host()
        return [*argv, "--without-timers"], env

    def _backend(self) -> tuple[list[str], dict[str, str]]:
        traffic = [
            *("--reads-per-second", str(self.options.reads_per_second)),
            *("--writes-per-second", str(self.options.writes_per_second)),
            *("--version-max-age", str(self.options.version_max_age)),
            *("--identity-key", str(self.identity_key)),
        ]
        env = environment.backend_environment(self.layout, self.headers["backend"], self.ca_bundle)
        return [*self._state("backend"), *traffic], env
