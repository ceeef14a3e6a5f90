"""Migrations of documents: their rights, asked before the first document changes, and what their activities work with.

A right is found out by using it without effect, as pre-flight does: a migration that met a missing right half-way would
leave documents in between.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import partial
from http import HTTPStatus

from azure.cosmos.aio import ContainerProxy
from azure.cosmos.exceptions import CosmosHttpResponseError

from field_encrypt import KeyPolicy, KeyVaultProvider, RetryingProvider
from field_encrypt.dek import Dek
from keyturn.contracts.base import Policy, RunRef
from keyturn.contracts.migrations import DocumentWork, Encrypt, Encrypting, Reencrypt
from keyturn.contracts.pages import PageInput, RowRef, ScanInput
from keyturn.cosmos.client import cosmos_failures
from keyturn.deks.queries import COUNT, EVERY, property_path, select_rows
from keyturn.deks.store import conditional_write
from keyturn.documents import store
from keyturn.documents.dek_ids import DekIds, open_dek_ids
from keyturn.documents.page import DocumentDependencies, KeyAndRows
from keyturn.errors import InvalidRequestError, InvariantError, PermissionMissingError
from keyturn.key_vault.errors import vault_failures
from keyturn.keyring_clients import KeyringClients
from keyturn.preflight.context import unused_name
from keyturn.preflight.plan import estimate
from keyturn.resources import Resources
from keyturn.runs.lease import Hold
from keyturn.runs.progress import record_quarantined
from keyturn.runs.record_parts import Plan
from keyturn.runs.records import MigrationRecord
from keyturn.runs.transitions import check_live
from keyturn.settings import DocumentContainer

HINT = "deploy with documentMigrations for as long as documents are migrated: infra/README.md says what that allows"


async def require_partition_key(container: ContainerProxy, description: DocumentContainer) -> None:
    """Check that the settings know what the container is partitioned by: documents are read, and bound, by that.

    Raises:
        InvalidRequestError: it is partitioned by something else, or by what no setting can name.
        KeyturnError: of the kind that the failure means.
    """
    async with cosmos_failures(f"container {description.name}", "read its properties"):
        paths: list[str] = (await container.read())["partitionKey"]["paths"]
    if paths != [f"/{description.partition_key}"] or "/" in description.partition_key:
        expected = (
            f"/{description.partition_key}, which KEYTURN_DOCUMENTS has as partitionKey: one property, at the top"
        )
        detail = f"containers: {description.name} is partitioned by {', '.join(paths)}, expected {expected}"
        raise InvalidRequestError(detail, field="containers", expected=expected)


async def require_rights(source: KeyringClients, containers: Iterable[str], target: KeyringClients) -> None:
    """Try what a migration does: replace a document, read and create a row of the target, and open a DEK of its MEK.

    Raises:
        PermissionMissingError: a right is missing; facts say which, and where.
        KeyturnError: of the kind that the answer of vault or database means.
    """
    absent = unused_name()
    try:
        for name in containers:  # a replace never creates
            replaced = source.documents[name].replace_item(absent, {"id": absent})
            await conditional_write(f"container {name}", absent, replaced, "replace documents")
        await target.rows.read(RowRef(id=absent, partition=absent), "")
        await _require_create(target.dek_container, f"dek store {target.dek_container.id}")
    except PermissionMissingError as error:
        raise PermissionMissingError(error.message, hint=HINT, **error.facts) from error
    await _require_round_trip(target)


async def _require_create(container: ContainerProxy, name: str) -> None:
    """Ask to create a row without an id, which is refused as invalid to a caller who may create rows."""
    async with cosmos_failures(name, "create rows"):
        try:
            await container.create_item({"keyturn": unused_name()})
        except CosmosHttpResponseError as error:
            if error.status_code != HTTPStatus.BAD_REQUEST:
                raise
            return
    raise InvariantError("a row was created that must be refused", resource=name)


async def _require_round_trip(keyring: KeyringClients) -> None:
    """Wrap an unused DEK as new rows are wrapped, and open it as readers do."""
    provider = RetryingProvider(KeyVaultProvider(keyring.mek))
    with vault_failures("wrap and unwrap", keyring.mek.mek_name):
        await provider.unwrap(await provider.wrap(Dek.generate()))


async def plan_afterwards(
    keyring: KeyringClients, containers: Sequence[str], key_policy: KeyPolicy, policy: Policy
) -> Plan:
    """Return what a rotation takes about once these containers' documents are encrypted under the key policy.

    The rows that there are now are superseded and stay, so they count; raises KeyturnError as the failure means.
    """
    rows = {"(now)": sum(await select_rows(keyring.dek_container, EVERY, COUNT)), "(new)": 0}
    for description in keyring.keyring.documents:
        if description.name in containers:
            container, key = keyring.documents[description.name], property_path(description.partition_key)
            partitions = 0
            if key_policy.per == "partition":
                found = await select_rows(container, EVERY, f"DISTINCT VALUE {key}", resource=container.id)
                partitions = len(found)
            new = key_policy.rows_of(await store.count(container), partitions)
            rows["(new)"] += new + len(description.deterministic)
    return estimate(rows_by_version=rows, policy=policy, key_type="RSA", old_key_size=policy.key_size)


@dataclass(frozen=True, slots=True)
class Job:
    """A migration's record and clients, for the work of its activities on one container."""

    run: RunRef
    record: MigrationRecord
    work: DocumentWork
    documents: store.DocumentStore
    source: KeyringClients
    target: KeyringClients
    resources: Resources

    async def ids(self) -> DekIds:
        """Open the migration's dekIds; a dry run, which stores none, draws its own."""
        if self.record.dry_run:
            return DekIds(Dek.generate())
        provider = RetryingProvider(KeyVaultProvider(self.target.mek))
        return await open_dek_ids(
            self.resources.migrations.documents, self.record.keyring, self.record.run_id, provider
        )

    async def row_filter(self, *, proving: bool) -> store.RowFilter:
        """Return which documents the migration's work is about, or all those that a proof has to open."""
        if isinstance(self.work, Encrypt) and not proving:
            return store.with_plaintext(self.documents)
        if isinstance(self.work, Reencrypt) and not proving:
            one_key = self.source is self.target
            new = store.NewDeks(self.documents, await self.ids(), self.work.key_policy, one_key=one_key)
            return store.under_other_deks(new)
        return store.with_fields(self.documents)

    def dependencies(self, *, proving: bool = False) -> DocumentDependencies:
        """Return what a page works with; a proof reads by the target alone."""
        quarantine = partial(record_quarantined, self.resources.every_run, self.run)
        source, target = _side(self.target if proving else self.source), _side(self.target)
        hold = Hold(self.resources.every_run.documents, self.run).check
        policy = self.work.key_policy if isinstance(self.work, Encrypting) else None
        return DocumentDependencies(self.documents, source, target, quarantine, hold, policy)


async def open_job(request: ScanInput | PageInput, resources: Resources) -> Job:
    """Return the job that a page or a scan of it belongs to.

    Raises:
        FencedError: the run is not the one that this input belongs to.
        InvariantError: the run works on no documents, or the container is not of its keyring any more.
    """
    record = await resources.migrations.read(request.run.run_id)
    check_live(record, request.run)
    work, container = record.work, request.source
    if not isinstance(work, DocumentWork):
        raise InvariantError("a migration of rows looks for documents", migrationId=record.run_id)
    source = resources.keyring(record.keyring)
    descriptions = {description.name: description for description in source.keyring.documents}
    if container not in descriptions:
        raise InvariantError("a container is not of its keyring any more", container=container)
    return Job(
        run=request.run,
        record=record,
        work=work,
        documents=store.DocumentStore(source.documents[container], descriptions[container]),
        source=source,
        target=resources.keyring(work.target_keyring) if isinstance(work, Reencrypt) else source,
        resources=resources,
    )


def _side(keyring: KeyringClients) -> KeyAndRows:
    return KeyAndRows(keyring.mek, keyring.reader_store)
