"""Verify a keyring as it is now, and write what was seen into the run's record: canaries, probes, references.

Probes: the backend answers as the settings expect. References: no sampled document names a DEK that the store lacks.
Target: the rotation's version is the vault's current one, which writers wrap under.
"""

from azure.core.credentials_async import AsyncTokenCredential
from azure.core.exceptions import AzureError
from azure.cosmos.aio import ContainerProxy

from field_encrypt import DekStore
from field_encrypt.errors import DekNotFoundError, InvalidRowError, RetryError
from keyturn.contracts import base, steps
from keyturn.contracts.states import State
from keyturn.documents.queries import sampled_deks, still_named
from keyturn.errors import UnavailableError
from keyturn.keyring_clients import KeyringClients
from keyturn.rotation.canaries import check_all, per_container
from keyturn.rotation.probes import probe_all
from keyturn.runs import store, transitions
from keyturn.runs.record_parts import REFERENCES_MAX, Canary, MissingDek
from keyturn.settings import DocumentContainer

SAMPLE = 50


async def missing_deks(container: ContainerProxy, description: DocumentContainer, deks: DekStore) -> list[MissingDek]:
    """Return the sampled documents that name DEKs which the store lacks.

    A document that is deleted, and then its row, is no failure: what seems to miss a DEK is read again. Raises
    UnavailableError where a container does not answer.
    """
    try:
        named = await sampled_deks(container, description, SAMPLE)
        lacking = {dek_id for dek_id in sorted({dek_id for dek_id, _ in named}) if not await _is_there(deks, dek_id)}
        missing = await still_named(container, {pair for pair in named if pair[0] in lacking}) if lacking else set()
    except (AzureError, RetryError) as error:
        raise UnavailableError(f"container {description.name} did not answer", resource=description.name) from error
    return [MissingDek(container=description.name, document_id=name, dek_id=dek) for dek, name in sorted(missing)]


async def _is_there(deks: DekStore, dek_id: str) -> bool:
    try:
        await deks.read(dek_id)
    except DekNotFoundError:
        return False
    except InvalidRowError:
        pass  # it is there; that it is malformed is the sweep's to report
    return True


# What durable history and a notification carry of the failures' names.
NAMED_MAX = 10
NAME_LENGTH_MAX = 200


async def verify(
    runs: store.RotationStore, keyring: KeyringClients, ref: base.RunRef, credential: AsyncTokenCredential
) -> steps.VerifyResult:
    """Check everything and return the names of what failed; no answer is no verdict but an UnavailableError.

    ``credential`` is the app's, for probes that send a token.
    """
    record = await runs.read(ref.run_id)
    canaries: list[Canary] = []
    references: list[MissingDek] = []
    failed: list[str] = []
    if (current := await keyring.versions.current()) != record.target_version is not None:
        failed.append(f"target:{record.target_version} is not the vault's current version, {current}")
    if record.state is State.WATCHING and record.retirement_in_force:
        states = await keyring.versions.states()
        failed += [f"enabled:{version}" for version in record.retired if states[version].enabled]
    wanted = per_container(len(keyring.keyring.documents))
    for description in keyring.keyring.documents:
        container = keyring.documents[description.name]
        mine = [canary for canary in record.canaries if canary.container == description.name]
        canaries += await check_all(container, description, keyring.encryption(), mine, wanted)
        if missing := await missing_deks(container, description, keyring.reader_store):
            references += missing
            failed.append(f"references:{description.name}")
    probes = await probe_all(keyring.keyring.health_urls, credential)
    failed += [f"canary:{canary.container}/{canary.document_id}" for canary in canaries if canary.outcome == "fail"]
    failed += [f"probe:{probe.url}" for probe in probes if probe.outcome == "fail"]

    seen = {"canaries": canaries, "probes": probes, "references": references[:REFERENCES_MAX]}
    await transitions.update_live(runs, ref, lambda found: found.changed(**seen))
    return steps.VerifyResult(passed=not failed, failed_checks=_named(failed))


def _named(failed: list[str]) -> list[str]:
    """Return the first of the failures, cut to what an event may hold; all of them are in the record."""
    named = [name[:NAME_LENGTH_MAX] for name in failed[:NAMED_MAX]]
    return named if len(named) == len(failed) else [*named, f"and {len(failed) - len(named)} more"]
