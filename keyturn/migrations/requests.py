"""The bodies that start migrations, and what is looked at before one is started."""

from collections.abc import Collection
from typing import Annotated, Literal, override

from pydantic import Field, RootModel

from field_encrypt import KeyPolicy
from field_encrypt.row_states import FENCE, ROTATION_ID, read_label
from keyturn.contracts.base import Payload, PersonName, Remark
from keyturn.contracts.migrations import CHAIN_MAX, DecryptCheck, Encrypt, Reencrypt, RewrapDeks, Rollback
from keyturn.contracts.pages import RANGES_MAX
from keyturn.contracts.states import State
from keyturn.cosmos.client import list_feed_ranges
from keyturn.deks.queries import COUNT, Conditions, property_path, select_rows
from keyturn.deks.store import DekStore
from keyturn.errors import InvalidRequestError, WrongStateError, one_of
from keyturn.key_vault.versions import MekVersions
from keyturn.migrations.documents import plan_afterwards, require_partition_key, require_rights
from keyturn.resources import Resources
from keyturn.runs.record_parts import Plan
from keyturn.runs.records import RotationRecord
from keyturn.runs.store import PAGE_MAX, MigrationStore, RotationStore
from keyturn.settings import Keyring

LISTED_MAX = 10  # versions, of hundreds: the newest


class _Asked(Payload):
    requested_by: PersonName | None = None
    reason: Remark = ""
    dry_run: bool = False


class MigrationRequest(_Asked):
    """What every body may hold."""

    keyring: str | None = None  # may be left out where there is only one

    async def plan(self, resources: Resources) -> Plan | None:  # noqa: ARG002 - of those that make DEKs alone
        """Return what a rotation will take afterwards; raises KeyturnError of the kind that the failure means."""
        return None


class RollbackRequest(_Asked):
    """Roll a rotation back; its id, in the address, names the keyring."""

    def of(self, keyring: str) -> MigrationRequest:
        """Return the request as one for a migration of this keyring."""
        return MigrationRequest(keyring=keyring, **dict(self))


async def rollback_work(record: RotationRecord, runs: RotationStore) -> Rollback:
    """Return the work of rolling this rotation back, with all that it adopted.

    Raises:
        WrongStateError: it made no version, or has adopted more rotations than one rollback takes along.
        UnknownRotationError: the record of an adopted one is gone.
    """
    if record.target_version is None:
        raise _refused(record, "the rotation made no version: there is nothing to roll back")
    adopted = list(record.adopted)
    # A record names the newest ADOPTED_MAX; the last of them goes on.
    while adopted and (older := [run for run in (await runs.read(adopted[-1])).adopted if run not in adopted]):
        adopted += older
    if len(adopted) > CHAIN_MAX:
        why = f"the rotation has adopted {len(adopted)} others, of {CHAIN_MAX} that a rollback takes along"
        raise _refused(record, f"{why}: move the rows with rewrap-deks onto the version that you want, enabled")
    approval = record.retirement_in_force
    return Rollback(rotation=record.ref, adopted=adopted, new_version=record.target_version, approval=approval)


def _refused(record: RotationRecord, why: str, **facts: str) -> WrongStateError:
    return WrongStateError(why, rotationId=record.run_id, state=record.state.value, allowed=[], **facts)


async def require_not_overtaken(rotation: RotationRecord, runs: RotationStore, migrations: MigrationStore) -> None:
    """Check that no later rotation has taken over rows or versions; one that was rolled back counts no more.

    Raises:
        WrongStateError: one has; the fact ``laterRotationId`` names the one to roll back first.
    """
    undone = {
        found.rollback.rotation.run_id
        for found in await migrations.newest(rotation.keyring, limit=PAGE_MAX)
        if found.work.kind == "rollback" and found.state is State.COMPLETED and not found.dry_run
    }
    for later in await runs.newest(rotation.keyring, limit=PAGE_MAX):
        took = later.retired or later.totals("sweep").changed
        if later.fencing_token > rotation.fencing_token and took and later.run_id not in undone:
            why = f"a later rotation has moved rows: roll {later.run_id} back first"
            raise _refused(rotation, why, laterRotationId=later.run_id)


async def changed_since(store: DekStore, work: Rollback, replaced: Collection[str]) -> int:
    """Count the rows that later runs have written and that are not where the rotations of a rollback found them.

    ``replaced`` are the versions that these have replaced. On their own version, only those count that a later rollback
    has put there: they do not say where they were before.

    Raises:
        KeyturnError: of the kind that the failure means.
    """
    conditions = Conditions(store.keyring, work.new_version)
    fence, moved = property_path(FENCE), f"IS_STRING({property_path(ROTATION_ID)})"
    elsewhere = f"NOT ({conditions.on_target.having(moved).text})"
    text = f"IS_NUMBER({fence}) AND {fence} > @fence AND {elsewhere}"
    later = conditions.labelled.having(text, fence=work.rotation.fencing_token)
    labels = set(await select_rows(store.container, later, f"DISTINCT VALUE {conditions.label}"))
    count = 0
    for label in labels:
        if read_label(label, store.keyring).version not in replaced:
            named = later.having(f"{conditions.label} = @label", label=label)
            count += sum(await select_rows(store.container, named, COUNT))
    return count


class RewrapDeksRequest(MigrationRequest):
    """Move rows onto a version."""

    kind: Literal["rewrap-deks"]
    new_version: str
    old_version: str | None = None

    async def work(self, versions: MekVersions) -> RewrapDeks:
        """Return the work; raises InvalidRequestError where the vault does not have the versions."""
        states = await versions.states()
        for field, version in {"newVersion": self.new_version, "oldVersion": self.old_version}.items():
            if version is not None and version not in states:
                known = one_of(list(states)[-LISTED_MAX:], version)
                raise InvalidRequestError.expected(field, f"a version of the keyring's MEK, {known}")
        if not states[self.new_version].enabled:
            enabled = [version for version, found in states.items() if found.enabled]
            expected = f"an enabled version of the keyring's MEK, {one_of(enabled[-LISTED_MAX:])}"
            raise InvalidRequestError.expected("newVersion", expected)
        if self.new_version == self.old_version:
            raise InvalidRequestError.expected("oldVersion", "another version than newVersion")
        return RewrapDeks(new_version=self.new_version, old_version=self.old_version)


class _DocumentsRequest(MigrationRequest):
    """Work on documents; without ``containers``, on those of all containers of the keyring."""

    containers: Annotated[list[str], Field(min_length=1, max_length=50)] | None = None

    def chosen(self, keyring: Keyring) -> list[str]:
        """Return the containers, each once; raises InvalidRequestError where one is not the keyring's."""
        known = [description.name for description in keyring.documents]
        wanted = list(dict.fromkeys(known if self.containers is None else self.containers))
        if not wanted or not set(wanted) <= set(known):
            strange = next((name for name in wanted if name not in known), None)
            raise InvalidRequestError.expected("containers", f"{one_of(known, strange)} (KEYTURN_DOCUMENTS)")
        return wanted

    async def sweepable(self, resources: Resources) -> list[str]:
        """Return the containers; raises InvalidRequestError where one is partitioned otherwise, or too far."""
        keyring = resources.keyring(self.keyring)
        chosen = self.chosen(keyring.keyring)
        for description in keyring.keyring.documents:
            if description.name in chosen:
                await require_partition_key(keyring.documents[description.name], description)
        for name in chosen:
            count = len(await list_feed_ranges(keyring.documents[name]))
            if count > RANGES_MAX:
                expected = f"at most {RANGES_MAX} physical partitions"
                detail = f"containers: {name} has {count}, expected {expected}"
                raise InvalidRequestError(detail, field="containers", expected=expected)
        return chosen


class _EncryptingRequest(_DocumentsRequest):
    """Make DEKs: as a key policy says, or one for every document."""

    key_policy: KeyPolicy | None = None

    async def changeable(self, resources: Resources, target: str | None = None) -> list[str]:
        """Return the containers.

        Raises:
            InvalidRequestError: documents cannot share DEKs as the key policy says.
            PermissionMissingError: their documents may not get DEKs of the target.
        """
        keyring, other = resources.keyring(self.keyring), resources.keyring(target or self.keyring)
        chosen = await self.sweepable(resources)
        per = "document" if self.key_policy is None else self.key_policy.per
        if per != "document" and other is not keyring:  # ids of shared DEKs are the same in both dek stores
            raise InvalidRequestError.expected(
                "keyPolicy", "a DEK per document where documents move to another keyring"
            )
        unbound = [found.name for found in keyring.keyring.documents if not found.binds_partition_key]
        if per == "partition" and set(chosen) & set(unbound):
            raise InvalidRequestError.expected("keyPolicy", f"no DEK per partition where none is bound: {unbound}")
        if not self.dry_run:
            await require_rights(keyring, chosen, other)
        return chosen

    @override
    async def plan(self, resources: Resources) -> Plan | None:
        if not self.dry_run:
            return None
        keyring, policy = resources.keyring(self.keyring), self.key_policy or KeyPolicy()
        return await plan_afterwards(keyring, self.chosen(keyring.keyring), policy, resources.settings.policy)


class EncryptRequest(_EncryptingRequest):
    """Encrypt the plaintext fields of existing documents."""

    kind: Literal["encrypt"]

    async def work(self, resources: Resources) -> Encrypt:
        """Return the work; raises InvalidRequestError or PermissionMissingError."""
        return Encrypt(containers=await self.changeable(resources), key_policy=self.key_policy)


class DecryptCheckRequest(_DocumentsRequest):
    """Decrypt every document and change nothing."""

    kind: Literal["decrypt-check"]

    async def work(self, resources: Resources) -> DecryptCheck:
        """Return the work; raises InvalidRequestError."""
        return DecryptCheck(containers=await self.sweepable(resources))


class _Reencryption(_EncryptingRequest):
    """Put documents under other DEKs of the target keyring, by default of their own."""

    target_keyring: str | None = None
    snapshot_reference: Annotated[str, Field(min_length=1, max_length=500)] | None = None

    async def work(self, resources: Resources) -> Reencrypt:
        """Return the work; raises UnknownKeyringError, InvalidRequestError or PermissionMissingError."""
        return Reencrypt(
            containers=await self.changeable(resources, self.target_keyring),
            target_keyring=resources.settings.keyring(self.target_keyring or self.keyring).name,
            snapshot_reference=self.snapshot_reference,
            key_policy=self.key_policy,
        )


class ReencryptRequest(_Reencryption):
    """Put documents under fresh DEKs, or those that do not fit a key policy under DEKs that do."""

    kind: Literal["re-encrypt"]


class ReencryptionRequest(_Reencryption):
    """Recover from a lost MEK: the target must be another keyring, and the snapshot be named."""

    target_keyring: str
    snapshot_reference: Annotated[str, Field(min_length=1, max_length=500)]

    @override
    async def work(self, resources: Resources) -> Reencrypt:
        """Return the work; raises UnknownKeyringError, InvalidRequestError or PermissionMissingError."""
        if self.target_keyring == resources.settings.keyring(self.keyring).name:
            raise InvalidRequestError.expected("targetKeyring", "another keyring than the one whose MEK was lost")
        return await super().work(resources)


_OneOf = Annotated[
    RewrapDeksRequest | EncryptRequest | ReencryptRequest | DecryptCheckRequest, Field(discriminator="kind")
]


class StartMigration(RootModel[_OneOf]):
    """One of the kinds."""
