"""Goes through everything, in an order in which what a line needs comes before it.

Every line of docs/assumptions.md by its id: which the doctor looks at, which it probes, and which people check.

A test holds these ids to those of the page.

Runs the probes: a throw-away key, a throw-away container, and everything that is tried on them.
"""

from collections.abc import Callable, Iterable, Mapping
from datetime import UTC, datetime
from pathlib import Path

from azure.core.exceptions import ClientAuthenticationError

from keyturn.doctor import cosmos_probes as probe_database
from keyturn.doctor import key_vault_probes as probe_vault
from keyturn.doctor.checks import Answer, Examined, Line, Outcome, ask, ok, problem, unchecked, warning
from keyturn.doctor.cosmos import DATABASE
from keyturn.doctor.cosmos_probes import DATABASE_PROBES
from keyturn.doctor.deployment import EXAMINED, check_endpoints, check_keys, check_records, check_rights, endpoints_of
from keyturn.doctor.key_vault import VAULT, check_versions
from keyturn.doctor.key_vault_probes import BURST_PROBES, VAULT_PROBES
from keyturn.errors import KeyturnError, SettingsError
from keyturn.resources import Resources
from keyturn.settings import Settings, load_settings

# What needs a rotation, a crash, another role or a split to be seen: the page says how people check it.
BY_HAND = (
    *("kv_rights_apart", "kv_rights_first", "kv_lost_creation", "kv_backup_whole", "kv_wrap_under_disabled"),
    *("kv_sdk_repeats_creation", "kv_creation_settles"),
    *("cosmos_sdk_repeats_create", "cosmos_split_loses_nothing", "cosmos_count_after_split"),
    *("cosmos_batch_session", "cosmos_sdk_repeats_write", "cosmos_query_rights", "cosmos_rights_first"),
    *("cosmos_feed_after_split", "cosmos_order_by_index"),
    *("host_work_runs_again", "host_result_counts_once", "host_generations_apart", "host_events_saved"),
    *("host_empty_fan_out", "host_one_instance_an_id", "host_events_refused", "host_failure_text"),
    *("host_concurrency_each", "host_orchestrator_parameter", "host_unhandled_500", "host_missed_timer"),
    *("host_principal_header", "host_ncrontab", "host_hides_queries"),
)
HOST = ("host_keys",)  # of the app itself, where its URL is known
LOOKED_AT = (*VAULT, *DATABASE, *HOST)
PROBED = (*VAULT_PROBES, *BURST_PROBES, *DATABASE_PROBES)
IDS = (*LOOKED_AT, *PROBED, *BY_HAND)


KEY, CONTAINER = "probe_key", "probe_container"  # lines that tell what was made, and what is left


async def probe(examined: Examined) -> list[Line]:
    """Try everything, in the vault and the database of this keyring."""
    return [*await _vault(examined), *await _database(examined)]


async def _vault(examined: Examined) -> list[Line]:
    lines: list[Line] = []

    async def tried() -> Answer:
        async with probe_vault.throwaway_key(examined) as key:
            lines.extend([Line.of(name, await ask(check(key))) for name, check in probe_vault.VAULT_PROBES.items()])
            made = await probe_vault.burst(key)
            lines.extend([Line.of(name, await check(made)) for name, check in probe_vault.BURST_PROBES.items()])
        vault = examined.keyring.keyring.vault_url
        return ok(f"left behind with every version disabled: az keyvault key delete --id {vault}/keys/{key.name}")

    answer = await ask(tried(), probe_vault.RIGHTS)
    return [Line.of(KEY, answer), *_completed(lines, [*probe_vault.VAULT_PROBES, *probe_vault.BURST_PROBES], KEY)]


async def _database(examined: Examined) -> list[Line]:
    lines: list[Line] = []

    async def tried() -> Answer:
        if (account := examined.resources.account) is None:
            return unchecked("KEYTURN_COSMOS_RESOURCE_ID is not set", "set it to the account's resource id")
        async with probe_database.throwaway_container(examined, account) as made:
            lines.extend(
                [Line.of(name, await ask(check(made))) for name, check in probe_database.DATABASE_PROBES.items()]
            )
        return ok("made and deleted")

    answer = await ask(tried(), probe_database.RIGHTS)
    return [Line.of(CONTAINER, answer), *_completed(lines, [*probe_database.DATABASE_PROBES], CONTAINER)]


def _completed(lines: list[Line], ids: list[str], needed: str) -> list[Line]:
    """Return the lines, and one for each id that was not come to."""
    seen = {line.id for line in lines}
    left = unchecked(f"{needed} failed", f"mend {needed} first")
    return [*lines, *(Line.of(name, left) for name in ids if name not in seen)]


REQUIREMENTS = Path(__file__).parents[2] / "requirements.txt"  # deployed beside the packages


def _now() -> datetime:
    return datetime.now(UTC)


async def examine(
    environment: Mapping[str, str],
    *,
    probing: bool = False,
    requirements: Path = REQUIREMENTS,
    now: Callable[[], datetime] = _now,
) -> list[Line]:
    """Return a line for everything that was looked at.

    The environment holds the app's settings; the identity is whatever DefaultAzureCredential finds in this process.
    Only ``probing`` changes anything.
    """
    lines = check_versions(requirements)
    try:
        settings = load_settings(environment)
    except SettingsError as error:
        lines.append(Line.of("settings", problem(error.message, "set it as local.settings.json.example shows")))
        return lines + _left("settings", [*EXAMINED, *LOOKED_AT, *PROBED]) + _by_hand()
    lines += _settings_lines(settings)
    lines += await check_endpoints(endpoints_of(settings, environment), now)
    lines.append(Line.of("host_keys", await check_keys(settings.keyturn_public_url)))
    down = {line.id for line in lines if line.outcome is Outcome.PROBLEM} & {"reach_cosmos", "reach_vault"}
    if down:
        lines += _left(min(down), [*EXAMINED, *VAULT, *DATABASE, *PROBED])
    else:
        lines += await _with_services(settings, now, probing=probing)
    return lines + _by_hand()


def _settings_lines(settings: Settings) -> list[Line]:
    names = ", ".join(keyring.name for keyring in settings.keyrings)
    lines = [Line.of("settings", ok(f"valid; keyrings: {names}"))]
    decided = ok("decisions can be taken")
    if not settings.approval_secrets():
        decided = warning(
            "APPROVAL_WEBHOOK_SECRETS is not set: no decision can be taken over the webhook",
            "put a secret into the vault and name it in approvalSecretName (docs/deploy.md)",
        )
    return [*lines, Line.of("approvals", decided)]


async def _with_services(settings: Settings, now: Callable[[], datetime], *, probing: bool) -> list[Line]:
    advice = "sign in (az login), or give the identity its roles (infra/)"
    try:
        resources = await Resources.open(settings)
    except (KeyturnError, ClientAuthenticationError) as error:
        detail = error.message if isinstance(error, KeyturnError) else "no credential gave a token"
        return [
            Line.of("identity", problem(detail, advice)),
            *_left("identity", [*EXAMINED, *VAULT, *DATABASE, *PROBED]),
        ]
    try:
        lines = [Line.of("identity", ok("a token was issued, and the account's metadata was read"))]
        patients = [Examined.of(resources, keyring.name, now) for keyring in settings.keyrings]
        for examined in patients:
            lines += await check_rights(examined)
        lines += await check_records(patients[0])
        for examined in patients:
            lines += await _looked_at(examined, lines)
        return lines + (await probe(patients[0]) if probing else _left("--probe", PROBED))
    finally:
        await resources.close()


async def _looked_at(examined: Examined, before: list[Line]) -> list[Line]:
    """Look at the assumptions, each where what it needs was found to be there."""
    name = examined.keyring.keyring.name
    bad = {line.id for line in before if line.subject in ("", name) and line.outcome is not Outcome.OK}
    lines: list[Line] = []
    for line, look in {**VAULT, **DATABASE}.items():
        if (missing := next((need for need in look.needs if need in bad), None)) is not None:
            lines += _left(missing, [line], name)
        else:
            lines.append(Line.of(line, await ask(look.run(examined)), name))
    return lines


def _left(missing: str, ids: Iterable[str], subject: str = "") -> list[Line]:
    """Return lines for what was not looked at for want of something."""
    answer = (
        unchecked("needs --probe") if missing == "--probe" else unchecked(f"{missing} failed", f"mend {missing} first")
    )
    return [Line.of(line, answer, subject) for line in ids]


def _by_hand() -> list[Line]:
    return [Line.of(line, unchecked("for people", "docs/assumptions.md says how")) for line in BY_HAND]
