"""What a local Azure is asked to be."""

import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from local.cosmos.sql.values import MixedTypes
from local.supervisor.layout import REPOSITORY


@dataclass(frozen=True, kw_only=True)
class Options:
    """Options of ``up``; every one is a flag of ``python -m local up``."""

    state: Path
    deks: int = 0  # notes to seed, each with a DEK of its own
    older_rows: tuple[str, ...] = ()  # of them, rows as older writers left them: flags of local.backend.seed
    bits: int = 4096  # of the MEK and of the versions that rotations make
    vault_limits: Literal["service", "off"] = "service"
    vault_latency_ms: float = 0
    partitions: int = 1  # physical partitions of every container
    throughput: int = 0  # RU/s a container; 0: not limited
    replica_lag_ms: int = 0
    mixed_types: MixedTypes = "undefined"  # what = and != make of values of different types
    short_pages: int = 0  # items that a query's first page looks at, each next at twice as many; 0: all
    duplicate_events: int | None = None  # a seed: every external event arrives twice
    token_seconds: int = 3600
    sign_in: bool = False  # Entra authentication in front of the app: callers need a token, roles count
    document_migrations: bool = False  # the app of a new state folder may change documents and create rows
    drill_vault: bool = False  # a second vault, to be thrown away, in which key backups are tried every month
    reads_per_second: float = 0  # of the demo backend's live traffic
    writes_per_second: float = 0
    # Seconds for which the backend believes in the current MEK version: less than any soak that is set here, else a
    # quick rotation disables the version that the backend is still going to wrap under, and readiness fails.
    version_max_age: float = 0.5
    app: Path = REPOSITORY  # folder of function_app.py
    app_python: Path = Path(sys.executable)  # whose packages the app runs on
    settings: dict[str, str] = field(default_factory=dict)  # app settings on top of the defaults

    def cosmos(self) -> list[str]:
        """Return the flags of the database account."""
        return [
            *("--partitions", str(self.partitions)),
            *(("--throughput", str(self.throughput)) if self.throughput else ()),
            *("--replica-lag-ms", str(self.replica_lag_ms)),
            *("--mixed-types", self.mixed_types),
            *("--short-pages", str(self.short_pages)),
        ]
