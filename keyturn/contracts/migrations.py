"""What crosses the orchestrator boundary for migrations: the work of each kind, and the inputs of their activities."""

from typing import Annotated, Literal

from pydantic import Field, StringConstraints

from keyturn.contracts.base import Payload, RotationInput
from keyturn.contracts.document_work import DecryptCheck, Encrypt, Reencrypt
from keyturn.contracts.sweep import CensusResult

type MekVersionId = Annotated[str, StringConstraints(pattern=r"^[0-9A-Za-z-]{1,127}$")]


class RewrapDeks(Payload):
    """Move rows from one version, or from whatever version they are on, onto a version."""

    kind: Literal["rewrap-deks"] = "rewrap-deks"
    new_version: MekVersionId
    old_version: MekVersionId | None = None

    def left(self, census: CensusResult) -> int:
        """Return how many rows are still to be moved; the census was taken with the new version as its target."""
        return census.stale if self.old_version is None else census.by_version.get(self.old_version, 0)


type Work = Annotated[RewrapDeks | Encrypt | Reencrypt | DecryptCheck, Field(discriminator="kind")]


class MigrationInput(RotationInput):
    """Input of the ``migration`` workflow, and its state when it is continued as new."""

    work: Work
