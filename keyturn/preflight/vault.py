"""The MEK: its newest version is one that a new version can follow, the identity has its rights, a backup is taken.

A right is found out by using it without a lasting effect: a list of permissions does not tell what a deny assignment, a
network rule or a scope takes away. An operation with an effect is asked for so that the vault must refuse: 403 says
that the right is missing, any other refusal that it is there (docs/assumptions.md).
"""

from collections.abc import Awaitable
from http import HTTPStatus
from uuid import uuid4

from azure.core.exceptions import HttpResponseError
from azure.keyvault.keys.crypto import CryptographyClient, KeyWrapAlgorithm

from field_encrypt.dek import Dek
from field_encrypt.mek_versions import RSA_TYPES
from keyturn.contracts.characters import counted
from keyturn.key_drills.drill import read_drill
from keyturn.key_vault.backups import WHERE_IT_OPENS
from keyturn.key_vault.errors import vault_failures
from keyturn.key_vault.versions import ANOTHER_KEY, VERSIONS_MAX, is_unused
from keyturn.preflight.context import CheckContext
from keyturn.preflight.results import CheckResult, ok, problem

RIGHTS = "Microsoft.KeyVault/vaults/keys/"
IMPOSSIBLE_KEY_SIZE = 1  # bits


async def mek_exists(context: CheckContext) -> CheckResult:
    """The MEK has a version; a rotation creates a version, never a key."""
    name = context.keyring.keyring.mek_name
    versions = await context.facts.versions()
    if not versions:
        return problem(
            f"the vault has no key {name}",
            "compare FIELD_ENCRYPT_MEK_NAME and AZURE_KEYVAULT_URL with the backend's; a new key would open no row",
        )
    newest = await context.facts.newest()
    return ok(f"key {name} has {counted(len(versions), 'version')}, the newest is {newest.version}")


async def mek_versions(context: CheckContext) -> CheckResult:
    """The MEK may have one more version, and can then still be backed up."""
    versions = len(await context.facts.versions())
    if versions < VERSIONS_MAX:
        return ok(f"{versions} of at most {VERSIONS_MAX} versions")
    return problem(
        f"the MEK has {versions} versions, and Keyturn makes no more than {VERSIONS_MAX}",
        ANOTHER_KEY,
    )


async def mek_is_rsa(context: CheckContext) -> CheckResult:
    """The newest version is an RSA key: only such a key wraps without the vault."""
    newest = await context.facts.newest()
    seen = f"version {newest.version} is of type {newest.jwk.kty}"
    return ok(seen) if newest.jwk.kty in RSA_TYPES else problem(seen, "the MEK must be an RSA key")


async def mek_size(context: CheckContext) -> CheckResult:
    """The new version is not smaller than the one it follows."""
    newest = await context.facts.newest()
    size, wanted = newest.key_size or 0, context.record.policy.key_size
    if size <= wanted:
        return ok(f"version {newest.version} has {size} bits, the new one will have {wanted}")
    return problem(
        f"version {newest.version} has {size} bits, the new one would have {wanted}",
        f"set KEYTURN_KEY_SIZE to {size}, or waive if the smaller key is meant",
    )


async def mek_enabled(context: CheckContext) -> CheckResult:
    """The newest version is enabled: it is what the backend wraps under."""
    newest = await context.facts.newest()
    if newest.enabled:
        return ok(f"version {newest.version} is enabled")
    if is_unused(newest):
        return ok(f"version {newest.version} was made by an unfinished rotation, and is enabled once a backup has it")
    return problem(
        f"the newest version, {newest.version}, is disabled", "find out who disabled it, and why, before it is enabled"
    )


async def mek_not_expired(context: CheckContext) -> CheckResult:
    """The newest version is within its validity: outside it unwraps, but nothing is wrapped under it."""
    newest = await context.facts.newest()
    if newest.expires_on is not None and context.now >= newest.expires_on:
        return problem(
            f"version {newest.version} expired at {newest.expires_on.isoformat()}",
            "the backend cannot create DEKs; waive, because a rotation is the remedy",
        )
    if newest.not_before is not None and context.now < newest.not_before:
        return problem(
            f"version {newest.version} is not valid before {newest.not_before.isoformat()}",
            "wait until it is valid, or correct its dates",
        )
    end = f"expires at {newest.expires_on.isoformat()}" if newest.expires_on else "never expires"
    return ok(f"version {newest.version} {end}")


async def can_read_key(context: CheckContext) -> CheckResult:
    """The identity may list and read the versions of the MEK."""
    versions = await context.facts.versions()
    return ok(f"listed {counted(len(versions), 'version')}")


async def can_wrap_and_unwrap(context: CheckContext) -> CheckResult:
    """A random DEK is wrapped locally under the newest enabled version, and unwrapped by the vault."""
    versions = await context.facts.versions()
    enabled = next((version for version in reversed(versions) if versions[version].enabled), None)
    if enabled is None:
        return problem("no version of the MEK is enabled", "enable the version that the rows name")
    fetched = await context.keyring.versions.fetch(enabled)
    # Not by the MEK's client, which refuses an expired version: rotating away from one must be possible.
    local = CryptographyClient.from_jwk(fetched.jwk.model_dump())
    dek = Dek.generate()
    wrapped = local.wrap_key(KeyWrapAlgorithm.rsa_oaep_256, dek.reveal()).encrypted_key
    returned = Dek(await context.keyring.mek.unwrap(wrapped, enabled, "RSA-OAEP-256"))
    if returned != dek:
        return problem(
            f"version {enabled} returned another DEK than was wrapped", "do not rotate, and tell the developers"
        )
    return ok(f"a random DEK was wrapped locally and unwrapped by version {enabled}")


async def can_create_version(context: CheckContext) -> CheckResult:
    """The identity may create a version: asked for one of an impossible size, which is refused as invalid."""
    name, keys = context.keyring.keyring.mek_name, context.keyring.keys
    creation = keys.create_rsa_key(name, size=IMPOSSIBLE_KEY_SIZE, retry_total=0)
    return await _refused(context, "create", creation, HTTPStatus.BAD_REQUEST)


async def can_update_version(context: CheckContext) -> CheckResult:
    """The identity may disable and enable versions: asked for one that does not exist, which is not found."""
    update = context.keyring.keys.update_key_properties(context.keyring.keyring.mek_name, uuid4().hex, enabled=True)
    return await _refused(context, "update", update, HTTPStatus.NOT_FOUND)


async def _refused(
    context: CheckContext, operation: str, request: Awaitable[object], expected: HTTPStatus
) -> CheckResult:
    """Expect this refusal of a request; any other failure is raised as what it means."""
    with vault_failures(operation, context.keyring.keyring.mek_name):
        try:
            await request
        except HttpResponseError as error:
            if error.status_code != expected:
                raise
            return ok(f"the vault got as far as refusing an invalid {operation} request with {expected:d}")
    return problem(
        f"the vault accepted an {operation} request that it must refuse",
        "look at the MEK's newest version, disable it if this check created it, and tell the developers",
    )


async def key_backup(context: CheckContext) -> CheckResult:
    """A backup of the MEK is stored; a dry run only tells whether one could be."""
    backups = context.keyring.key_backups
    versions = len(await context.facts.versions())
    if context.record.options.dry_run:
        return ok(f"a dry run takes none; a rotation would store {versions} versions in {backups.container}")
    taken = await backups.take(context.record.run_id, versions=versions, now=context.now)
    return ok(
        f"{taken.versions} versions, {taken.size} bytes, stored in {backups.container} until "
        f"{taken.expires_at.date().isoformat()}; opens in {WHERE_IT_OPENS}"
    )


async def key_backup_drill(context: CheckContext) -> CheckResult:
    """The last drill of a key backup opened today's rows; that none was made yet, or lately, stops no rotation."""
    last = await read_drill(context.documents, context.record.keyring)
    if last is None:
        return ok("no key backup was ever tried: key-backup drill does it")
    seen = f"the last drill was {(context.now - last.at).days} days ago, by {last.by}: {last.detail}"
    if last.passed:
        return ok(seen)
    return problem(seen, "run key-backup drill until one passes, or waive: a rotation takes another backup")
