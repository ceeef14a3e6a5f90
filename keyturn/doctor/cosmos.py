"""What Keyturn assumes of Cosmos DB (ids of docs/assumptions.md), seen without a change."""

from collections.abc import Awaitable, Callable, Mapping
from datetime import timedelta
from http import HTTPStatus
from typing import Any

from azure.cosmos.aio import ContainerProxy

from keyturn.cosmos.client import cosmos_failures
from keyturn.cosmos.session_tokens import SESSION_TOKEN, merge_session_tokens
from keyturn.deks.store import RESOURCE
from keyturn.doctor.checks import BROKEN, DoctorContext, expect, status_of
from keyturn.preflight.checks import Item
from keyturn.preflight.context import unused_name
from keyturn.preflight.results import CheckResult, ok, problem, unchecked, warning

CONTAINER_MISSING = 1003  # substatus of a 404
NO_ROWS = "the dek store is empty, and a query of constants needs a row"
_TIERS = {"Continuous7Days": timedelta(days=7), "Continuous30Days": timedelta(days=30)}


async def undefined_comparisons(context: DoctorContext) -> CheckResult:
    """A comparison with an absent property is neither true nor false; across types, as one of the sources says."""
    what = 'a comparison with an absent property is undefined, "1" = 1 is '
    known = {f"{what}undefined": {}, f"{what}false": {"other": False, "not_other": True}}
    return await _expect(context, known, absent='(c["{0}"] != "v")', other='("1" = 1)', not_other='NOT ("1" = 1)')


async def three_valued_logic(context: DoctorContext) -> CheckResult:
    """A condition that IS_STRING guards is false for an absent property, and can be negated."""
    return await _expect(
        context,
        {"false AND undefined is false": {"guarded": False, "negated": True}},
        guarded='(IS_STRING(c["{0}"]) AND c["{0}"] = "v")',
        negated='NOT (IS_STRING(c["{0}"]) AND c["{0}"] = "v")',
    )


async def ignore_case(context: DoctorContext) -> CheckResult:
    """STRINGEQUALS and STARTSWITH ignore case when they are told to."""
    return await _expect(
        context,
        {"both ignore case only when told to": {"equal": True, "starts": True, "exact": False}},
        equal='STRINGEQUALS("aBc", "AbC", true)',
        starts='STARTSWITH("aBc", "Ab", true)',
        exact='STRINGEQUALS("aBc", "AbC")',
    )


async def not_found(context: DoctorContext) -> CheckResult:
    """An absent row and an absent container are told apart."""
    keyring = context.keyring
    database = context.resources.database(keyring.keyring.cosmos_database)
    name = unused_name("doctor")
    row = await status_of(keyring.dek_container.read_item(name, name))
    container = await status_of(database.get_container_client(name).read_item(name, name))
    if row != (HTTPStatus.NOT_FOUND, 0):
        return problem(f"an absent row was answered with {row}", BROKEN)
    if container[0] == HTTPStatus.FORBIDDEN:
        return unchecked("an absent row was told; this identity may not ask for other containers")
    return expect(container, (HTTPStatus.NOT_FOUND, CONTAINER_MISSING), "absent rows and containers are told")


async def session_tokens(context: DoctorContext) -> CheckResult:
    """A session token has the form that is merged."""
    headers: list[Mapping[str, Any]] = []
    query = "SELECT TOP 1 VALUE c.id FROM c"
    async with cosmos_failures(RESOURCE, "query"):
        found = context.keyring.dek_container.query_items(
            query, response_hook=lambda answered, _: headers.append(dict(answered))
        )
        async for _ in found:
            break
    tokens = [str(answered[SESSION_TOKEN]) for answered in headers if SESSION_TOKEN in answered]
    if not tokens:
        return unchecked("no answer carried a session token: the account's consistency may be another")
    try:
        merged = merge_session_tokens({"range": tokens[0]})
    except ValueError:
        return problem(f"the session token {tokens[0]!r} has another form", BROKEN)
    return ok(f"a session token, {merged['range']}, has the known form")


async def ttl_default(context: DoctorContext) -> CheckResult:
    """The container ``keyturn`` removes documents whose time to live is over."""
    async with cosmos_failures("the keyturn container", "read its properties"):
        properties = await context.resources.records.read()
    if properties.get("defaultTtl") is None:
        return warning(
            "its default time to live is off: keys of idempotent requests and ids of webhooks stay for ever",
            "set it to -1, which removes nothing that does not ask for it",
        )
    return ok(f"its default time to live is {properties['defaultTtl']}")


async def backup_policy(context: DoctorContext) -> CheckResult:
    """The resource manager tells the policy, and no backup outlives the versions that open what is in it."""
    if context.account is None:
        return unchecked("KEYTURN_COSMOS_RESOURCE_ID is not set", "set it to the account's resource id")
    tier = await context.account.continuous_backup()
    if tier is None:
        return unchecked("the account is backed up periodically", "compare its retention with KEYTURN_RETAIN yourself")
    retain = context.settings.policy.retain
    if (kept := _TIERS.get(tier)) is None or kept <= retain:
        return ok(f"{tier}; retired versions are kept for {retain.days} days")
    return warning(
        f"a restore may go back {kept.days} days, retired versions are kept for {retain.days}",
        f"set KEYTURN_RETAIN to P{kept.days}D or more",
    )


async def patch_right(context: DoctorContext) -> CheckResult:
    """An identity that may replace rows and not create them may patch them."""
    name, change = unused_name("doctor"), [{"op": "set", "path": "/x", "value": 1}]
    return await _replacing(context, "patch rows", lambda rows: rows.patch_item(name, name, change))


async def batch_right(context: DoctorContext) -> CheckResult:
    """The same identity may replace rows in a transactional batch."""
    name = unused_name("doctor")
    row = {"id": name, context.keyring.keyring.row_names.partition_key: name}
    batch = [("replace", (name, row))]
    return await _replacing(context, "replace rows in a batch", lambda rows: rows.execute_item_batch(batch, name))


async def _replacing(
    context: DoctorContext, what: str, request: Callable[[ContainerProxy], Awaitable[object]]
) -> CheckResult:
    rows = context.keyring.dek_container
    # The service must refuse a row without an id, also from an identity that may create rows.
    created, _ = await status_of(rows.create_item({"madeUp": unused_name("doctor")}))
    if created != HTTPStatus.FORBIDDEN:
        return unchecked(
            "this identity may create rows too, so this shows nothing", "ask as the app: keyturn doctor --from-app"
        )
    return expect(await status_of(request(rows)), (HTTPStatus.NOT_FOUND, 0), f"may {what}, and may not create them")


async def order_by_index(context: DoctorContext) -> CheckResult:
    """The query that lists rotations, which sorts them, is answered."""
    await context.resources.run_store.newest(context.keyring.keyring.name, limit=1)
    return ok("rotations were listed in their order")


async def _expect(context: DoctorContext, known: Mapping[str, Mapping[str, Any]], **expressions: str) -> CheckResult:
    """Expect one of these of what the expressions are, without those that are undefined; unchecked without any row."""
    absent = unused_name("doctor")
    values = ", ".join(f'"{name}": {text.format(absent)}' for name, text in expressions.items())
    async with cosmos_failures(RESOURCE, "query"):
        query = f"SELECT TOP 1 VALUE {{{values}}} FROM c"  # noqa: S608 - our own text
        found = [item async for item in context.keyring.dek_container.query_items(query)]
    what = next((what for what, values in known.items() if found == [values]), " or ".join(known))
    return expect(found, [known.get(what)], what) if found else unchecked(NO_ROWS)


_QUERY = ("store_reachable", "can_query")

DATABASE: dict[str, Item[DoctorContext]] = {
    "cosmos_undefined_comparisons": Item(undefined_comparisons, _QUERY),
    "cosmos_three_valued_logic": Item(three_valued_logic, _QUERY),
    "cosmos_ignore_case": Item(ignore_case, _QUERY),
    "cosmos_not_found": Item(not_found, ("store_reachable", "can_read_rows")),
    "cosmos_session_tokens": Item(session_tokens, _QUERY),
    "cosmos_ttl_default": Item(ttl_default, ("can_read_records",)),
    "cosmos_backup_policy": Item(backup_policy, ("backup",)),
    "cosmos_patch_right": Item(patch_right, ("store_reachable", "can_patch_rows")),
    "cosmos_batch_right": Item(batch_right, ("store_reachable", "can_patch_rows")),
    "cosmos_order_by_index": Item(order_by_index, ("can_read_records",)),
}
