"""A local Azure on which a whole rotation takes seconds: what fixtures of several folders start."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from local.supervisor import LocalAzure, Options
from tests.azure_option import as_asked
from tests.end_to_end.app_settings import QUICK, VERSION_MAX_AGE

_QUICK: dict[str, Any] = {"bits": 2048, "vault_limits": "off", "settings": QUICK, "version_max_age": VERSION_MAX_AGE}


@contextmanager
def quick_azure(state: Path, *, deks: int, **options: Any) -> Iterator[LocalAzure]:
    """Run a local Azure with so many notes, small keys, a vault without limits and short waits, and stop it.

    ``options`` are others of :class:`local.supervisor.Options`; they go before these.
    """
    with LocalAzure(as_asked(Options(state=state, deks=deks, **{**_QUICK, **options}))).running() as running:
        yield running
