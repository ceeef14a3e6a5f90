"""Runs the doctor: every line of docs/assumptions.md by its id, checked, probed, or left to people.

A check comes after the checks that it needs. Probes run in a throw-away key and a throw-away container.
"""

import asyncio
import math
import time
from collections.abc import Callable, Iterable, Mapping
from datetime import UTC, datetime
from functools import partial
from pathlib import Path

from azure.core.exceptions import ClientAuthenticationError

from keyturn.access.identity import Identity
from keyturn.approval.deciders import require_decider
from keyturn.doctor import cosmos_probes, deployment, key_vault_probes
from keyturn.doctor.checks import SECONDS, DoctorContext, ask, check_all, failed_before, until
from keyturn.doctor.cosmos import DATABASE
from keyturn.doctor.cosmos_probes import DATABASE_PROBES
from keyturn.doctor.deployment import DECIDER, EXAMINED
from keyturn.doctor.key_vault import VAULT, check_versions
from keyturn.doctor.key_vault_probes import BURST_PROBES, VAULT_PROBES
from keyturn.doctor.live import BY_HAND
from keyturn.errors import KeyturnError, OperatorError, SettingsError
from keyturn.preflight.results import CheckResult, Outcome, ok, problem, unchecked, warning
from keyturn.resources import Resources
from keyturn.rotation.due import REQUESTER
from keyturn.settings import Settings, load_settings

HOST = ("host_keys", "host_auth_variable")  # of the app itself
LOOKED_AT = (*VAULT, *DATABASE, *HOST)
PROBED = (*VAULT_PROBES, *BURST_PROBES, *DATABASE_PROBES)

KEY, CONTAINER = "probe_key", "probe_container"  # results that tell what was made, and what is left
REQUIREMENTS = Path(__file__).parents[2] / "requirements.txt"  # deployed beside the packages


async def examine(
    environment: Mapping[str, str],
    *,
    probing: bool = False,
    requirements: Path = REQUIREMENTS,
    now: Callable[[], datetime] = lambda: datetime.now(UTC),
    seconds: float = math.inf,
) -> list[CheckResult]:
    """Return a result for everything that was looked at.

    The environment holds the app's settings; the identity is that which DefaultAzureCredential finds in this process.
    Only ``probing`` changes anything. After so many ``seconds`` everything that is left is cut off, and says so.
    """
    until.set(time.monotonic() + seconds)
    results = check_versions(requirements)
    try:
        settings = load_settings(environment)
    except SettingsError as error:
        results.append(problem(error.message, "set it as local.settings.json.example shows").named("settings"))
        return results + _left("settings", [*EXAMINED, *LOOKED_AT, *PROBED]) + _by_hand()
    results += _check_settings(settings)
    results += await deployment.check_endpoints(deployment.endpoints_of(settings, environment), now)
    results += await deployment.check_probes(settings)
    results += await deployment.check_app(settings)
    down = {found.id for found in results if found.outcome is Outcome.PROBLEM} & {"reach_cosmos", "reach_vault"}
    if down:
        results += _left(min(down), [*EXAMINED, *VAULT, *DATABASE, *PROBED])
    else:
        results += await _with_services(settings, now, probing=probing)
    return results + _by_hand()


def _check_settings(settings: Settings) -> list[CheckResult]:
    names = ", ".join(keyring.name for keyring in settings.keyrings)
    try:
        decided = ok(require_decider(settings, Identity(REQUESTER)))
    except OperatorError as error:
        # Of a deployment, secrets and channels are in the vault: on a workstation they may only seem to be missing.
        decided = warning(error.message, f"{error.hint}; where secrets are the app's alone, ask it: doctor --from-app")
    return [ok(f"valid; keyrings: {names}").named("settings"), decided.named(DECIDER)]


async def _with_services(settings: Settings, now: Callable[[], datetime], *, probing: bool) -> list[CheckResult]:
    try:
        async with asyncio.timeout(SECONDS):
            resources = await Resources.open(settings)
    except (KeyturnError, ClientAuthenticationError, TimeoutError) as error:
        detail = error.message if isinstance(error, KeyturnError) else "no credential gave a token"
        refused = problem(detail, "sign in (az login), or give the identity its roles (infra/)").named("identity")
        return [refused, *_left("identity", [*EXAMINED, *VAULT, *DATABASE, *PROBED])]
    try:
        results = [ok("a token was issued, and the account's metadata was read").named("identity")]
        contexts = [DoctorContext.of(resources, keyring.name, now) for keyring in settings.keyrings]
        for context in contexts:
            results += await check_all(EXAMINED, context)
        results += await deployment.check_records(contexts[0])
        for context in contexts:
            results += await check_all({**VAULT, **DATABASE}, context, results)
        if not probing:
            return results + [
                unchecked("needs --probe", "try it: keyturn doctor --probe").named(name) for name in PROBED
            ]
        return results + await _probe(contexts[0])
    finally:
        await resources.close()


async def _probe_vault(context: DoctorContext, results: list[CheckResult]) -> CheckResult:
    async with key_vault_probes.throwaway_key(context) as key:
        results.extend([(await ask(partial(check, key))).named(name) for name, check in VAULT_PROBES.items()])
        burst = await key_vault_probes.burst(key)
        results.extend([(await check(burst)).named(name) for name, check in BURST_PROBES.items()])
    vault = context.keyring.keyring.vault_url
    return ok(f"left behind with every version disabled: az keyvault key delete --id {vault}/keys/{key.name}")


async def _probe_database(context: DoctorContext, results: list[CheckResult]) -> CheckResult:
    if context.account is None:
        return unchecked("KEYTURN_COSMOS_RESOURCE_ID is not set", "set it to the account's resource id")
    async with cosmos_probes.throwaway_container(context, context.account) as made:
        results.extend([(await ask(partial(check, made))).named(name) for name, check in DATABASE_PROBES.items()])
    return ok("made and deleted")


async def _probe(context: DoctorContext) -> list[CheckResult]:
    """Return what the probes have found, and for each that was not reached a result that says so."""
    results: list[CheckResult] = []
    for made_name, probe, right, ids in (
        (KEY, _probe_vault, key_vault_probes.RIGHTS, (*VAULT_PROBES, *BURST_PROBES)),
        (CONTAINER, _probe_database, cosmos_probes.RIGHTS, tuple(DATABASE_PROBES)),
    ):
        found: list[CheckResult] = []
        made = await ask(partial(probe, context, found), right)
        seen = {result.id for result in found}
        results += [made.named(made_name), *found, *_left(made_name, [name for name in ids if name not in seen])]
    return results


def _left(missing: str, ids: Iterable[str]) -> list[CheckResult]:
    """Return results for what was not checked because something else failed."""
    return [failed_before(missing).named(name) for name in ids]


def _by_hand() -> list[CheckResult]:
    return [unchecked("for people", "docs/first-deployment.md says how").named(name) for name in BY_HAND]
