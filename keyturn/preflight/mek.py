"""The MEK as it is before the rotation: it exists, and its newest version is what a new one should follow."""

from field_encrypt.mek_versions import RSA_TYPES
from keyturn.preflight.inquiry import Finding, Inquiry, bad, good


async def mek_exists(inquiry: Inquiry) -> Finding:
    """The MEK has a version; a rotation creates a version, never a key."""
    name = inquiry.keyring.keyring.mek_name
    versions = await inquiry.facts.versions()
    if not versions:
        return bad(
            f"the vault has no key {name}",
            "compare FIELD_ENCRYPT_MEK_NAME and AZURE_KEYVAULT_URL with the backend's; a new key would open no row",
        )
    newest = await inquiry.facts.newest()
    return good(f"key {name} has {len(versions)} versions, the newest is {newest.version}")


async def mek_is_rsa(inquiry: Inquiry) -> Finding:
    """The newest version is an RSA key: only such a key wraps without the vault."""
    newest = await inquiry.facts.newest()
    if newest.jwk.kty in RSA_TYPES:
        return good(f"version {newest.version} is of type {newest.jwk.kty}")
    return bad(f"version {newest.version} is of type {newest.jwk.kty}", "the MEK must be an RSA key")


async def mek_size(inquiry: Inquiry) -> Finding:
    """The new version is not smaller than the one it follows."""
    newest = await inquiry.facts.newest()
    size, wanted = newest.key_size or 0, inquiry.record.policy.key_size
    if size <= wanted:
        return good(f"version {newest.version} has {size} bits, the new one will have {wanted}")
    return bad(
        f"version {newest.version} has {size} bits, the new one would have {wanted}",
        f"set KEYTURN_KEY_SIZE to {size}, or waive if the smaller key is meant",
    )


async def mek_enabled(inquiry: Inquiry) -> Finding:
    """The newest version is enabled: it is what the backend wraps under."""
    newest = await inquiry.facts.newest()
    if newest.enabled:
        return good(f"version {newest.version} is enabled")
    return bad(
        f"the newest version, {newest.version}, is disabled", "find out who disabled it, and why, before it is enabled"
    )


async def mek_not_expired(inquiry: Inquiry) -> Finding:
    """The newest version is within its validity: outside it unwraps, but nothing is wrapped under it."""
    newest = await inquiry.facts.newest()
    if newest.expires_on is not None and inquiry.now >= newest.expires_on:
        return bad(
            f"version {newest.version} expired at {newest.expires_on.isoformat()}",
            "the backend cannot create DEKs; waive, because a rotation is the remedy",
        )
    if newest.not_before is not None and inquiry.now < newest.not_before:
        return bad(
            f"version {newest.version} is not valid before {newest.not_before.isoformat()}",
            "wait until it is valid, or correct its dates",
        )
    end = f"expires at {newest.expires_on.isoformat()}" if newest.expires_on else "never expires"
    return good(f"version {newest.version} {end}")
