"""What Keyturn assumes of Key Vault, tried on a throw-away key.

Nothing here deletes: at the end the key's versions are disabled, and the operator is told to delete the key.
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from http import HTTPStatus
from typing import Any

from azure.core.exceptions import HttpResponseError
from azure.core.rest import HttpRequest

from field_encrypt import MekClient
from field_encrypt.dek import Dek
from field_encrypt.mek_errors import MekVersionDisabledError
from field_encrypt.mek_versions import MekVersion, MekVersionProperties
from keyturn.doctor.checks import BROKEN, DoctorContext, expect
from keyturn.key_vault.pacing import LIMITS
from keyturn.preflight.context import unused_name
from keyturn.preflight.results import CheckResult, ok, problem, unchecked, warning

KEY_SIZE = 2048  # bits: the cheapest, and creations are limited alike for all sizes
CREATION_LIMIT = LIMITS["RSA", KEY_SIZE].create
CREATIONS = CREATION_LIMIT + 2  # at once: more than the vault admits
ALGORITHM = "RSA-OAEP-256"
RIGHTS = "Microsoft.KeyVault/vaults/keys/create/action, read, update/action, unwrap/action and wrap/action on the vault"
DATES = timedelta(days=2)


@dataclass
class ThrowawayKey:
    """A key that nothing else uses, with two versions; the first has wrapped a DEK."""

    name: str
    keys: Any
    mek: MekClient
    first: MekVersion
    second: MekVersion
    dek: Dek
    wrapped: bytes

    async def opens(self) -> bool:
        """Tell whether the first version opens what it has wrapped."""
        return Dek(await self.mek.unwrap(self.wrapped, self.first.version, ALGORITHM)) == self.dek


@asynccontextmanager
async def throwaway_key(context: DoctorContext) -> AsyncIterator[ThrowawayKey]:
    """Make the key; at the end, disable every version of it."""
    keyring = context.keyring.keyring
    name, keys = unused_name("doctor"), context.keyring.keys
    verify = keyring.verify_challenge_resource
    created = await keys.create_rsa_key(name, size=KEY_SIZE)
    credential = context.resources.credential
    async with MekClient(keyring.vault_url, name, credential, verify_challenge_resource=verify) as mek:
        first, dek = MekVersion.fetched(created), Dek.generate()
        wrapped = mek.wrap(dek.reveal(), first, ALGORITHM)
        second = MekVersion.fetched(await keys.create_rsa_key(name, size=KEY_SIZE))
        try:
            yield ThrowawayKey(name, keys, mek, first, second, dek, wrapped)
        finally:
            for version in await mek.list_versions():
                await keys.update_key_properties(name, version.version, enabled=False)


async def versions_kept(key: ThrowawayKey) -> CheckResult:
    """The first version is what it was before the second was made."""
    kept = await key.mek.fetch_version(key.first.version)
    same = (kept.jwk.n == key.first.jwk.n, kept.enabled, await key.opens())
    return expect(same, (True, True, True), "the older version is unchanged by a newer one")


async def disabled_refuses(key: ThrowawayKey) -> CheckResult:
    """A disabled version shows itself and opens nothing until it is enabled again."""
    version = key.first.version
    await key.keys.update_key_properties(key.name, version, enabled=False)
    try:
        await key.opens()
    except MekVersionDisabledError as error:
        said = str(error)
    else:
        return problem("a disabled version unwrapped", BROKEN)
    shown = (await key.mek.fetch_version(version)).enabled
    await key.keys.update_key_properties(key.name, version, enabled=True)
    return expect((shown, await key.opens()), (False, True), f"refused while disabled: {said}")


async def wrap_under_disabled(key: ThrowawayKey) -> CheckResult:
    """Tell what the vault says to a wrap under a disabled version: the product relies on neither answer."""
    version = key.second.version
    await key.keys.update_key_properties(key.name, version, enabled=False)
    body = {"alg": ALGORITHM, "value": "AAAA"}  # not by the crypto client, which wraps by itself
    answer = await key.keys.send_request(HttpRequest("POST", f"/keys/{key.name}/{version}/wrapkey", json=body))
    await key.keys.update_key_properties(key.name, version, enabled=True)
    if answer.status_code not in (HTTPStatus.OK, HTTPStatus.FORBIDDEN):
        return problem(f"a wrap under a disabled version was answered with {answer.status_code}", BROKEN)
    return ok(f"a wrap under a disabled version was answered with {answer.status_code}")


async def expired_opens(key: ThrowawayKey) -> CheckResult:
    """An expired version opens what it has wrapped."""
    past = datetime.now(UTC) - DATES
    await key.keys.update_key_properties(key.name, key.first.version, expires_on=past, not_before=past - DATES)
    await key.mek.fetch_version(key.first.version)
    return expect(await key.opens(), expected=True, what="an expired version opens what it has wrapped")


async def tags_replaced(key: ThrowawayKey) -> CheckResult:
    """An update replaces all tags."""
    version = key.second.version
    for tags in ({"one": "1", "two": "2"}, {"three": "3"}):
        await key.keys.update_key_properties(key.name, version, tags=tags)
    found = MekVersionProperties.of((await key.keys.get_key(key.name, version)).properties).tags
    return expect(found, {"three": "3"}, "an update replaces all tags")


async def burst(key: ThrowawayKey) -> list[HttpResponseError]:
    """Create versions until the vault must refuse, and return the refusals.

    Creations have a limit of their own, so live traffic is not hit.
    """
    creations = (key.keys.create_rsa_key(key.name, size=KEY_SIZE, retry_total=0) for _ in range(CREATIONS))
    answers = await asyncio.gather(*creations, return_exceptions=True)
    refusals = [answer for answer in answers if isinstance(answer, HttpResponseError)]
    for answer in answers:
        if isinstance(answer, BaseException) and answer not in refusals:
            raise answer
    return refusals


async def limits(refusals: list[HttpResponseError]) -> CheckResult:
    """The vault admits no more creations than it publishes."""
    if not refusals:
        return unchecked(f"{CREATIONS} creations at once were all admitted; published are {CREATION_LIMIT} in 10 s")
    return ok(f"{CREATIONS - len(refusals)} creations were admitted, {len(refusals)} refused")


async def throttle_answer(refusals: list[HttpResponseError]) -> CheckResult:
    """A refusal is 429 without a time to wait."""
    if not refusals:
        return unchecked("nothing was throttled")
    statuses = {error.status_code for error in refusals}
    if statuses != {HTTPStatus.TOO_MANY_REQUESTS}:
        return problem(f"a throttled vault answers {sorted(map(str, statuses))}", BROKEN)
    headers = {name.lower() for error in refusals for name in getattr(error.response, "headers", {})}
    if "retry-after" in headers:
        return warning(
            "429 with Retry-After: the SDK waits by itself", "tell the developers: Keyturn's pacing is not needed"
        )
    return ok("429 without Retry-After")


VAULT_PROBES: dict[str, Callable[[ThrowawayKey], Awaitable[CheckResult]]] = {
    "kv_versions_kept": versions_kept,
    "kv_disabled_refuses": disabled_refuses,
    "kv_wrap_under_disabled": wrap_under_disabled,
    "kv_expired_opens": expired_opens,
    "kv_tags_replaced": tags_replaced,
}
BURST_PROBES: dict[str, Callable[[list[HttpResponseError]], Awaitable[CheckResult]]] = {
    "kv_limits": limits,
    "kv_throttle_answer": throttle_answer,
}
