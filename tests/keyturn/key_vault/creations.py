"""What a creation of a version needs: a request, and an intent as the run's record keeps it."""

from datetime import datetime, timedelta

from keyturn.contracts.base import RunRef
from keyturn.contracts.steps import CreateVersionInput
from keyturn.key_vault.versions import ROTATION_TAG, MekVersions
from tests.keyturn.local_keyring import ROTATION

EARLIER = "notes.20260101T120000Z.abcdef"

SETTLE = timedelta(seconds=30)

REQUEST = CreateVersionInput(
    run=RunRef(run_id=ROTATION, keyring="notes", fencing_token=1), key_size=2048, creation_settle=SETTLE
)


class Intent:
    """The intent in force, kept as the run's record keeps it: changed only by who knows what it is."""

    def __init__(self) -> None:
        self.at: datetime | None = None
        self.written = 0

    async def declared(self) -> datetime | None:
        """Return when it was written."""
        return self.at

    async def declare(self, at: datetime, *, replacing: datetime | None) -> bool:
        """Write it if it is still what the caller read."""
        if self.at != replacing:
            return False
        self.at, self.written = at, self.written + 1
        return True


async def tagged(versions: MekVersions) -> list[str]:
    """Return the versions of the rotation."""
    return [version for version, state in (await versions.states()).items() if state.tags.get(ROTATION_TAG) == ROTATION]
