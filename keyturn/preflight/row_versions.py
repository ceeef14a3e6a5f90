"""Every version that rows name exists, is enabled, and opens rows that name it.

A sweep meets a version that does not open its rows as quarantined rows, one after the other; better not to start.
"""

from collections.abc import Mapping

from field_encrypt.dek import Dek, matches_key_check
from field_encrypt.errors import InvalidDekError
from field_encrypt.mek_errors import MekVersionDisabledError, UnwrapRefusedError
from field_encrypt.mek_versions import MekVersionProperties
from keyturn.cosmos_failures import cosmos_failures
from keyturn.dek_store.census import OTHER_LABELS
from keyturn.dek_store.predicates import Conditions
from keyturn.dek_store.rows import Row, classify
from keyturn.dek_store.store import RESOURCE
from keyturn.preflight.inquiry import Finding, Inquiry, bad, good

# One damaged row among good ones is the sweep's to quarantine; so many that all do not open are the version's fault.
SAMPLE = 5


async def row_versions(inquiry: Inquiry) -> Finding:
    """Look at the versions that the census has found."""
    counts = dict((await inquiry.facts.counted()).by_version)
    counts.pop(OTHER_LABELS, None)
    known = await inquiry.facts.versions()
    problems = {version: await _problem(inquiry, known, version) for version in counts}
    found = [f"{version} ({counts[version]} rows) {problem}" for version, problem in problems.items() if problem]
    if found:
        return bad(
            "; ".join(found),
            "enable the version; where it does not exist or opens nothing, restore the key from its backup, or the "
            "rows from the store's",
        )
    return good(f"{len(counts)} versions each opened a row that names it")


async def _problem(inquiry: Inquiry, known: Mapping[str, MekVersionProperties], version: str) -> str | None:
    if version not in known:
        return "does not exist"
    if not known[version].enabled:
        return "is disabled"
    reasons: list[str] = []
    for row in await _sample(inquiry, version):
        reason = await _reason_not_to_open(inquiry, row, version)
        if reason is None:
            return None
        reasons.append(f"{row.id}: {reason}")
    return f"opened none of the sampled rows ({', '.join(reasons) or 'they are gone'})"


async def _sample(inquiry: Inquiry, version: str) -> list[Row]:
    keyring = inquiry.keyring.keyring
    query, parameters = Conditions(keyring, version).on_target.query(f"TOP {SAMPLE} *")
    async with cosmos_failures(RESOURCE, "query"):
        found = [item async for item in inquiry.keyring.dek_container.query_items(query, parameters=parameters)]
    return [classify(item, keyring, version) for item in found]


async def _reason_not_to_open(inquiry: Inquiry, row: Row, version: str) -> str | None:
    if row.reason is not None or row.wrapped is None or row.algorithm is None:
        return str(row.reason)
    try:
        dek = Dek(await inquiry.keyring.mek.unwrap(row.wrapped, version, row.algorithm))
    except (UnwrapRefusedError, InvalidDekError, MekVersionDisabledError) as error:
        return type(error).__name__
    if row.key_check is not None and not matches_key_check(dek, row.key_check):
        return "its key check is another DEK's"
    return None
