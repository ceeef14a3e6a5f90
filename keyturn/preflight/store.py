"""The dek store: it answers, the app's identity may do what a sweep does, and every version that rows name unwraps one.

A sweep meets a version that does not unwrap its rows as quarantined rows, one after the other; better not to start.
"""

from collections.abc import Mapping

from field_encrypt.mek_versions import MekVersionProperties
from field_encrypt.rewrapping import Unwrapped, unwrap_under
from field_encrypt.row_states import classify
from keyturn.contracts.characters import counted
from keyturn.contracts.pages import RANGES_MAX, RowRef
from keyturn.contracts.passes import COMPARE, NO_ROWS
from keyturn.cosmos.client import cosmos_failures, read_feed_page
from keyturn.deks.census import OTHER_LABELS
from keyturn.deks.queries import EVERY, Conditions, select_rows
from keyturn.deks.store import RESOURCE, Outcome, conditional_write
from keyturn.key_vault.errors import vault_failures
from keyturn.preflight.context import CheckContext, unused_name
from keyturn.preflight.results import CheckResult, ok, problem

RIGHTS = "Microsoft.DocumentDB/databaseAccounts/"
ITEMS = f"{RIGHTS}sqlDatabases/containers/items/"
CONTAINERS = f"{RIGHTS}sqlDatabases/containers/"
# The sweep quarantines one damaged row among good ones; where none of so many unwraps, the version is at fault.
SAMPLE = 5


async def store_reachable(context: CheckContext) -> CheckResult:
    """The container answers, and is partitioned as the settings say."""
    async with cosmos_failures(RESOURCE, "read its properties"):
        properties = await context.keyring.dek_container.read()
    paths: list[str] = properties["partitionKey"]["paths"]
    expected = f"/{context.keyring.keyring.row_names.partition_key}"
    if paths != [expected]:
        return problem(
            f"the dek store is partitioned by {', '.join(paths)}, not by {expected}",
            "correct partitionKey in the keyring's rowNames",
        )
    return ok(f"container {properties['id']} answers, partitioned by {expected}")


async def can_read_rows(context: CheckContext) -> CheckResult:
    """The identity may read a row: asked for one that does not exist."""
    name = unused_name()
    await context.keyring.rows.read(RowRef(id=name, partition=name), "")
    return ok("a point read was answered")


async def can_query(context: CheckContext) -> CheckResult:
    """The identity may query rows."""
    found = await select_rows(context.keyring.dek_container, EVERY, "TOP 1 VALUE c.id")
    return ok(f"a query was answered with {counted(len(found), 'row')}")


async def can_read_change_feed(context: CheckContext) -> CheckResult:
    """The identity may read the change feed."""
    first = (await context.facts.ranges())[0]
    page = await read_feed_page(context.keyring.dek_container, first, None, 1)
    return ok(f"the change feed was answered with {counted(len(page.items), 'row')}")


async def can_patch_rows(context: CheckContext) -> CheckResult:
    """The identity may change a row: asked for one that does not exist, which a patch never creates."""
    name = unused_name()
    patch = [{"op": "set", "path": "/rotationId", "value": context.record.run_id}]
    patched = context.keyring.dek_container.patch_item(name, name, patch)
    if (await conditional_write(RESOURCE, name, patched, "change rows")).outcome is Outcome.GONE:
        return ok("a patch of a row that does not exist was answered with 404")
    return problem("a row was changed that cannot exist", f"look at row {name} of the dek store")


async def store_partitions(context: CheckContext) -> CheckResult:
    """The store has no more physical partitions than a pass can keep cursors of."""
    count = len(await context.facts.ranges())
    if count <= RANGES_MAX:
        return ok(f"{count} physical partitions, of at most {RANGES_MAX}")
    return problem(
        f"{count} physical partitions, at most {RANGES_MAX} can be swept", "merge partitions, or split the store"
    )


async def census(context: CheckContext) -> CheckResult:
    """Every row is counted, by the version that wraps it and by kind."""
    found = await context.facts.counted()
    by_version = [f"{version}: {count}" for version, count in found.by_version.items() if version != OTHER_LABELS]
    return ok(
        f"{counted(found.total, 'row')}; stale after the rotation's start: {found.stale}, "
        f"of them unlabelled: {found.unlabelled}, malformed label: {found.by_version.get(OTHER_LABELS, 0)}; "
        f"foreign: {found.foreign}; by version: {', '.join(by_version) or 'none'}"
    )


async def store_has_rows(context: CheckContext) -> CheckResult:
    """There are rows of this MEK: none at all looks like the wrong container or the wrong key."""
    # Not a matter of the census, which may be waived.
    stale = Conditions(context.keyring.keyring, unused_name()).stale
    if await select_rows(context.keyring.dek_container, stale, "TOP 1 VALUE c.id"):
        return ok("there are rows that are wrapped by this MEK")
    others = await select_rows(context.keyring.dek_container, EVERY, "TOP 1 VALUE c.id")
    found = "every row of the dek store names another key" if others else NO_ROWS
    return problem(f"no row is wrapped by this MEK: {found}", f"{COMPARE}; waive for a new store")


async def row_versions(context: CheckContext) -> CheckResult:
    """Every version that rows name exists, is enabled, and unwraps a row that names it."""
    known = await context.facts.versions()
    # Where the census was waived, the versions that exist are asked for rows: the sweep meets rows that name others.
    census = context.facts.census
    named = list(known) if census is None else [name for name in census.by_version if name != OTHER_LABELS]
    problems = {version: await _problem(context, known, version) for version in named}
    found = [f"{version} {problem}" for version, problem in problems.items() if problem]
    if found:
        return problem(
            "; ".join(found),
            "enable the version; where it does not exist or unwraps nothing, restore the key from its backup, or the "
            "rows from the store's",
        )
    said = f"{counted(len(named), 'version')}: a row of each was unwrapped"
    return ok(said if census is not None else f"{said}, or none names it")


async def _problem(context: CheckContext, known: Mapping[str, MekVersionProperties], version: str) -> str | None:
    rows = "" if context.facts.census is None else f"({context.facts.census.by_version[version]} rows) "
    if version not in known:
        return f"{rows}does not exist"
    keyring = context.keyring.keyring
    on_target = Conditions(keyring, version).on_target
    sample = await select_rows(context.keyring.dek_container, on_target, f"TOP {SAMPLE} *")
    if not (sample or rows):
        return None
    if not known[version].enabled:
        return f"{rows}is disabled"
    reasons: list[str] = []
    for item in sample:
        row = classify(item, keyring, version)
        with vault_failures("unwrap", keyring.mek_name, version):
            unwrapped = await unwrap_under(version, row, context.keyring.mek.unwrap)
        if isinstance(unwrapped, Unwrapped):
            return None
        reasons.append(f"{row.id}: {unwrapped.reason}")
    return f"{rows}unwraps none of the sampled rows ({', '.join(reasons) or 'they are gone'})"
