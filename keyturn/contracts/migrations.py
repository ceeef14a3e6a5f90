"""What crosses the orchestrator boundary for migrations: the work of each kind, and the inputs of their activities."""

from datetime import datetime
from typing import Annotated, Literal

from pydantic import Field, StringConstraints

from field_encrypt import KeyPolicy
from keyturn.contracts.base import Payload, RotationInput, RunInput, RunRef
from keyturn.contracts.pages import PageResult, SessionTokens
from keyturn.contracts.passes import CensusResult, unmet

type ContainerName = Annotated[str, StringConstraints(min_length=1, max_length=255)]


class DocumentWork(Payload):
    """Work on the documents of some containers of the keyring."""

    containers: Annotated[list[ContainerName], Field(min_length=1, max_length=50)]


class Encrypting(DocumentWork):
    """Work that makes DEKs: under a key policy, or one for every document."""

    key_policy: KeyPolicy | None = None


class Encrypt(Encrypting):
    """Encrypt the plaintext fields of existing documents."""

    kind: Literal["encrypt"] = "encrypt"


class Reencrypt(Encrypting):
    """Put every document under a fresh DEK of a keyring, its own or another; or those that do not fit a key policy."""

    kind: Literal["re-encrypt"] = "re-encrypt"
    target_keyring: str
    snapshot_reference: Annotated[str, StringConstraints(max_length=500)] | None = None  # where documents came from


class DecryptCheck(DocumentWork):
    """Decrypt every document, and change nothing."""

    kind: Literal["decrypt-check"] = "decrypt-check"


type MekVersionId = Annotated[str, StringConstraints(pattern=r"^[0-9A-Za-z-]{1,127}$")]


class RewrapDeks(Payload):
    """Move rows from one version, or from whatever version they are on, onto a version."""

    kind: Literal["rewrap-deks"] = "rewrap-deks"
    new_version: MekVersionId
    old_version: MekVersionId | None = None

    def left(self, census: CensusResult) -> int:
        """Return how many rows are still to be moved; the census was taken with the new version as its target."""
        return census.stale if self.old_version is None else census.by_version.get(self.old_version, 0)

    def found(self, checked: PageResult, census: CensusResult) -> str:
        """Return what a dry run has found, for people."""
        said = f"dry run: {checked.changed} rows would be moved, {checked.quarantined} cannot"
        left, met = self.left(census), checked.changed + checked.quarantined
        return "; ".join(filter(None, [said, unmet(left) if left and not met else census.none_of_ours]))


# Of the rotations that one has adopted, all are rolled back with it: at 64 bytes an id, 12 KiB in a workflow's input.
CHAIN_MAX = 200


class Rollback(Payload):
    """Move the rows that a rotation and those that it adopted rewrapped back to the version that they came from."""

    kind: Literal["rollback"] = "rollback"
    rotation: RunRef
    # Unfinished rotations whose version and rows it took over, newest first.
    adopted: Annotated[list[str], Field(max_length=CHAIN_MAX)] = Field(default_factory=list)
    new_version: MekVersionId  # that the rotation made
    approval: bool = False  # the rotation's versions are retired: enabling them takes another person's approval

    @property
    def run_ids(self) -> list[str]:
        """Return the rotations whose rows go back."""
        return [self.rotation.run_id, *self.adopted]

    def found(self, checked: PageResult, census: CensusResult, later: int) -> str:
        """Return what a look at the rows has found, for people; ``later`` runs have changed so many."""
        others = census.total - census.foreign - checked.changed - checked.quarantined
        adopted = f" (or of {len(self.adopted)} that it adopted)" if self.adopted else ""
        whose = f"{checked.changed} rows are the rotation's{adopted}, {others} are not"
        changed = f", {later} were changed by later runs" if later else ""
        return f"{whose}, {checked.quarantined} cannot go back{changed}"


class ChangedSince(Payload):
    """Answer of ``count_changed_since``: rows of the rotation to roll back that later runs have changed."""

    rows: int


class Restore(Payload):
    """Move rows that name disabled versions, because they came back from a backup, onto the current version."""

    kind: Literal["restore"] = "restore"


class RestoreRows(Payload):
    """Copy rows that are missing or damaged back from another account: an operator's process does it, no workflow."""

    kind: Literal["restore-rows"] = "restore-rows"
    source: Annotated[str, StringConstraints(max_length=1000)]  # <account's URL>/dbs/<database>/colls/<container>


type Work = Annotated[
    RewrapDeks | Rollback | Restore | RestoreRows | Encrypt | Reencrypt | DecryptCheck, Field(discriminator="kind")
]


class MigrationInput(RotationInput):
    """Input of the ``migration`` workflow, and its state when it is continued as new."""

    work: Work
    approved_digest: str | None = None  # set when the workflow continues as new with an approval of this evidence


class RestoreInput(RunInput):
    """Input of ``freeze_restore`` and ``freeze_rollback``: look for what is disabled, freeze what an approver needs."""

    step: int  # the state change that this look follows: a late repetition of an earlier look changes nothing
    expires_at: datetime


class RestoreFound(Payload):
    """Answer of ``freeze_restore`` and ``freeze_rollback``."""

    target_version: str  # the current version
    versions: list[str]  # that are disabled, and that rows name or are to go back to
    rows: int
    evidence_digest: str | None  # None where there is nothing to decide


class EnableTemporarilyInput(RunInput):
    """Input of ``lend_versions``: enable what the approved evidence names."""

    evidence_digest: str


class EnableTemporarilyResult(Payload):
    """Answer of ``lend_versions``; the first two are as they were approved."""

    target_version: str
    versions: list[str]
    enabled: list[str]
    missing: list[str]  # versions that rows name by now and that were not approved: nothing was enabled


class DisableAgainInput(RunInput):
    """Input of ``return_versions``: disable again what no row names."""

    session_tokens: SessionTokens = Field(default_factory=dict)


class DisableAgainResult(Payload):
    """Answer of ``return_versions``."""

    disabled: list[str]
    kept: dict[str, int]  # versions that stay enabled, because so many rows still name them
