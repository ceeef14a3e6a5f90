"""Verifies a keyring by what the store, the vault and the backend say now, and not by any record of a run.

It is done in parts, each of which a caller asks for by itself: a part that reads everything goes on from a token. What
the vault is asked comes out of its budget, like a run's: live traffic and runs keep theirs.
"""

import json
import re
import secrets
import shlex
from datetime import datetime
from typing import Annotated, Any, Literal

from azure.core.credentials_async import AsyncTokenCredential
from pydantic import Field

from field_encrypt.mek_errors import MekError
from field_encrypt.pacing import Pacer
from field_encrypt.rewrapping import Unwrapped, unwrap_row
from field_encrypt.row_states import Row, RowKind, classify
from keyturn.clock import Clock
from keyturn.contracts.base import Payload, Policy
from keyturn.contracts.characters import counted
from keyturn.cosmos.client import list_feed_ranges
from keyturn.deks.census import OTHER_LABELS, take_census
from keyturn.deks.queries import Condition, Conditions, select_rows
from keyturn.diagnosis.dek import examine
from keyturn.diagnosis.feed_scan import FeedScan
from keyturn.diagnosis.models import Verdict
from keyturn.errors import NotSettledError
from keyturn.key_vault.errors import keyturn_error
from keyturn.key_vault.pacing import PacedVault
from keyturn.keyring_clients import KeyringClients
from keyturn.preflight.results import CheckResult, ok, problem
from keyturn.rotation.canaries import check_all, per_container
from keyturn.rotation.drift import find_drift
from keyturn.rotation.probes import probe_all
from keyturn.rotation.verification import missing_deks
from keyturn.runs import budget
from keyturn.runs.lease import read_lease
from keyturn.runs.store import RotationStore

SAMPLE = 200  # rows that are opened where not all are asked for: some six seconds of the budget of RSA 4096
SAMPLE_MAX = 1000  # half a minute of it: an answer must come within 230 s
ROWS_A_CALL = 200
CLAIMED_BY = "verification"  # with the keyring's name, where runs stand by their ids
NAMED_MAX = 20

_SETTINGS = {"documents": "KEYTURN_DOCUMENTS", "probes": "KEYTURN_HEALTH_URLS"}

type Part = Literal["census", "rows", "documents", "probes"]


class VerificationRequest(Payload):
    """Which part to verify; ``rows`` is how many to open, or null for all, in as many calls as it takes."""

    part: Part
    rows: Annotated[int | None, Field(ge=1, le=SAMPLE_MAX)] = SAMPLE
    token: str | None = None


class Verification(Payload):
    """What a part has found. ``token`` is null at its end; with one, the rest of it is still to be asked for."""

    keyring: str
    part: Part
    results: list[CheckResult]
    opened: int = 0  # rows that opened, and fit their key checks
    query: str | None = None  # of the census: what Data Explorer counts the stale rows with
    token: str | None = None


async def verify_part(
    keyring: KeyringClients,
    runs: RotationStore,
    policy: Policy,
    request: VerificationRequest,
    *,
    credential: AsyncTokenCredential,
    now: datetime,
) -> Verification:
    """Verify one part, or some of it; the credential is for probes that want a token.

    Raises:
        InvalidRequestError: the token is none of this verification's.
        NotSettledError: writers kept changing the store while it was counted; or runs hold the vault's whole budget.
        KeyturnError: of the kind that a failure means: no answer is no verdict.
    """
    if request.part == "census":
        return await _verify_census(keyring, runs, now)
    if request.part == "rows":
        return await _verify_rows(keyring, runs, policy, request, now)
    results = await (_documents(keyring) if request.part == "documents" else _probes(keyring, credential))
    nothing = [ok(f"none are set, so none were looked at: {_SETTINGS[request.part]}").named(request.part)]
    return Verification(keyring=keyring.keyring.name, part=request.part, results=results or nothing)


async def _verify_census(keyring: KeyringClients, runs: RotationStore, now: datetime) -> Verification:
    current = await keyring.versions.in_use()
    census = await take_census(keyring.rows, current, {})
    named = {version: count for version, count in census.by_version.items() if version != OTHER_LABELS}
    said = (
        f"{counted(census.total, 'row')}, {census.on_target} on the current version {current}, {census.foreign} foreign"
    )
    results = [ok(said).named("census")]
    if census.stale:
        others = [f"{version}: {count}" for version, count in named.items() if version != current]
        detail = f"{said}; {census.stale} on others ({', '.join(others) or 'none is named'}), "
        detail += f"{census.unlabelled} of them without a label"
        lease = await read_lease(runs, keyring.keyring.name)
        move = f"keyturn migrate rewrap-deks --keyring {keyring.keyring.name} --new-version {current}"
        if lease is not None and lease.holder is not None:  # which moves them, or waits for somebody
            move = f"keyturn watch {lease.holder}"
        results = [problem(detail, move).named("census")]
    elif census.total and (astray := census.none_of_ours):
        results = [problem(said, astray).named("census")]
    drift = await find_drift(runs, keyring.keyring.name, keyring.rows, keyring.versions, now)
    lost = [f"{version}: {count}" for version, count in drift.rows.items()]
    results.append(
        problem(
            f"rows name versions that cannot be used: {', '.join(lost)}",
            drift.mend or "bring the key back from its backup: keyturn key-backup list",
        ).named("versions")
        if lost
        else ok(f"every version that rows name is enabled: {', '.join(named) or 'none is named'}").named("versions")
    )
    results.append(
        problem(
            f"retired, and enabled: {', '.join(drift.enabled)}",
            f"the next rotation retires them again: keyturn rotate --keyring {keyring.keyring.name}",
        ).named("retired")
        if drift.enabled
        else ok("everything that was retired is disabled").named("retired")
    )
    query = data_explorer_query(Conditions(keyring.keyring, current).stale)
    return Verification(keyring=keyring.keyring.name, part="census", results=results, query=query)


def data_explorer_query(condition: Condition) -> str:
    """Return the query that counts the condition's rows, with its values in it: Data Explorer takes no parameters."""
    text, parameters = condition.query("VALUE COUNT(1)")
    values = {parameter["name"]: json.dumps(parameter["value"]) for parameter in parameters}
    return re.sub(r"@\w+", lambda found: values[found[0]], text)


async def _verify_rows(
    keyring: KeyringClients, runs: RotationStore, policy: Policy, request: VerificationRequest, now: datetime
) -> Verification:
    claim, vault = f"{CLAIMED_BY}.{keyring.keyring.name}", keyring.keyring.vault_url
    rate = await budget.claim(runs.documents, vault, claim, policy, policy.vault_operations_per_second, now)
    if rate == 0:
        # The claim stays, so that runs leave a share with their next wave; it expires where the caller gives up.
        text = "runs hold the whole budget of the vault, and leave a part of it within a wave of pages"
        raise NotSettledError(text, hint=f"keyturn verify {keyring.keyring.name}", resource=vault)
    try:
        opener = _Opener(keyring, PacedVault(keyring.mek, Pacer(rate, Clock())))
        token = None
        if request.rows is not None:
            await opener.open_all(await _sampled(keyring, request.rows))
        else:
            token = await _open_some(keyring, opener, request.token)
    finally:
        await budget.give_back(runs.documents, vault, claim, now)
    results = opener.results()
    return Verification(keyring=keyring.keyring.name, part="rows", results=results, opened=opener.opened, token=token)


async def _open_some(keyring: KeyringClients, opener: "_Opener", token: str | None) -> str | None:
    """Open some more rows, and return where to go on, or None."""
    scan = FeedScan("rows", {keyring.keyring.dek_container: keyring.dek_container})
    await scan.begin(token)
    read = 0
    while scan.token is not None and read < ROWS_A_CALL:
        items = (await scan.next_page())[1]
        read += len(items)
        await opener.open_all(items)
    return scan.token


async def _sampled(keyring: KeyringClients, wanted: int) -> list[dict[str, Any]]:
    """Return so many rows, or all where there are fewer: in each range those that follow an id chosen by chance."""
    start, ranges = secrets.token_hex(4), await list_feed_ranges(keyring.dek_container)
    most = -(-wanted // len(ranges))
    while True:
        parts = [await _following(keyring, feed_range, start, most) for feed_range in ranges]
        # Ranges are not equally full: what one lacks, others give.
        if sum(map(len, parts)) >= wanted or all(len(part) < most for part in parts):
            return [row for part in parts for row in part][:wanted]
        most = min(wanted, 2 * most)


async def _following(keyring: KeyringClients, feed_range: str, start: str, most: int) -> list[dict[str, Any]]:
    """Return so many rows of a range from this id on, and then from its beginning."""
    found: list[dict[str, Any]] = []
    for text in ("c.id >= @start", "c.id < @start"):
        if len(found) < most:
            condition = Condition(text, {"@start": start})
            top = f"TOP {most - len(found)} *"
            found += await select_rows(keyring.dek_container, condition, top, feed_range=feed_range)
    return found


class _Opener:
    """Opens rows as a reader does; what does not open is looked at again, because a rotation may just have moved it."""

    def __init__(self, keyring: KeyringClients, vault: PacedVault) -> None:
        self._keyring = keyring
        self._vault = vault
        self.opened = 0
        self._problems: list[CheckResult] = []
        self._failed = 0

    async def open_all(self, items: list[dict[str, Any]]) -> None:
        rows = [classify(item, self._keyring.keyring, "") for item in items]
        for row in rows:
            if row.kind is RowKind.FOREIGN:
                continue
            if await self._opens(row):
                self.opened += 1
                continue
            examined = await examine(self._keyring, row.id, await self._keyring.versions.states(), None)
            if examined.dek is not None:
                self.opened += 1
            elif examined.diagnosis.verdict is not Verdict.ROW_MISSING:  # deleted meanwhile: no failure
                self._failed += 1
                found = problem(examined.diagnosis.finding, examined.diagnosis.next_step)
                self._problems.append(found.named("row", row.id))

    async def _opens(self, row: Row) -> bool:
        try:
            unwrapped = await unwrap_row(row, self._vault.unwrap, self._vault.enabled_versions)
        except MekError as error:
            raise keyturn_error(error, "unwrap") from error
        return isinstance(unwrapped, Unwrapped)

    def results(self) -> list[CheckResult]:
        """Return one result for all that open, and one for each of the first that do not."""
        if not self._failed:
            return [ok(f"{counted(self.opened, 'row')} opened, and fit their key checks").named("rows")]
        advice = "see each row; rows of one cause have one next step"
        summary = problem(f"{counted(self._failed, 'row')} cannot be opened, {self.opened} can", advice).named("rows")
        return [summary, *self._problems[:NAMED_MAX]]


async def _documents(keyring: KeyringClients) -> list[CheckResult]:
    """Decrypt canaries of every container, and look for documents that name missing DEKs."""
    results = []
    wanted = per_container(len(keyring.keyring.documents))
    for description in keyring.keyring.documents:
        container = keyring.documents[description.name]
        canaries = await check_all(container, description, keyring.encryption(), [], wanted)
        failed = [canary for canary in canaries if canary.outcome == "fail"]
        named = [f"{canary.document_id} ({canary.detail})" for canary in failed]
        document = shlex.quote(failed[0].document_id) if failed else ""
        look = f"keyturn diagnose document {document} --container {description.name} --keyring {keyring.keyring.name}"
        decrypt = ok(f"decrypted {counted(len(canaries), 'document')}")
        results.append((problem("; ".join(named), look) if failed else decrypt).named("canaries", description.name))
        missing = await missing_deks(container, description, keyring.reader_store)
        lost = [f"{found.document_id} names {found.dek_id}" for found in missing[:NAMED_MAX]]
        there = ok("every DEK that the sampled documents name is there")
        orphans = problem("; ".join(lost), f"keyturn orphans missing-deks --keyring {keyring.keyring.name}")
        results.append((orphans if missing else there).named("references", description.name))
    return results


async def _probes(keyring: KeyringClients, credential: AsyncTokenCredential) -> list[CheckResult]:
    """Ask every URL of the backend."""
    return [
        (
            ok(f"answered {found.status}") if found.outcome == "pass" else problem(found.detail, "look at the backend")
        ).named("probe", found.url)
        for found in await probe_all(keyring.keyring.health_urls, credential)
    ]
