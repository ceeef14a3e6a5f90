"""What the app's identity may do with the MEK, found out by doing it, and without any lasting effect.

A permission list would not tell what a deny assignment, a network rule or a scope takes away. Where an operation has
an effect, it is asked for in a way that the vault must refuse: 403 means that the right is missing, the other refusal
that it is there. Key Vault decides on rights before it looks at the request (docs/assumptions.md).
"""

from collections.abc import Awaitable
from http import HTTPStatus
from uuid import uuid4

from azure.core.exceptions import AzureError, HttpResponseError
from azure.keyvault.keys.crypto import CryptographyClient, KeyWrapAlgorithm

from field_encrypt.dek import Dek
from field_encrypt.vault_failures import interpret
from keyturn.key_vault.failures import keyturn_error
from keyturn.preflight.inquiry import Finding, Inquiry, bad, good

RIGHTS = "Microsoft.KeyVault/vaults/keys/"
IMPOSSIBLE_KEY_SIZE = 1  # bits


async def can_read_key(inquiry: Inquiry) -> Finding:
    """The identity may list and read the versions of the MEK."""
    versions = await inquiry.facts.versions()
    return good(f"{len(versions)} versions were listed")


async def can_wrap_and_unwrap(inquiry: Inquiry) -> Finding:
    """A random DEK makes the way through the newest enabled version: there locally, back by the vault."""
    versions = await inquiry.facts.versions()
    enabled = next((version for version in reversed(versions) if versions[version].enabled), None)
    if enabled is None:
        return bad("no version of the MEK is enabled", "enable the version that the rows name")
    fetched = await inquiry.keyring.versions.fetch(enabled)
    # Not by the MEK's client, which refuses an expired version: rotating away from one must be possible.
    local = CryptographyClient.from_jwk(fetched.jwk.model_dump())
    dek = Dek.generate()
    wrapped = local.wrap_key(KeyWrapAlgorithm.rsa_oaep_256, dek.reveal()).encrypted_key
    returned = Dek(await inquiry.keyring.mek.unwrap(wrapped, enabled, "RSA-OAEP-256"))
    if returned != dek:
        return bad(f"version {enabled} returned another DEK than was wrapped", "do not rotate: call the developers")
    return good(f"a random DEK was wrapped locally and unwrapped by version {enabled}")


async def can_create_version(inquiry: Inquiry) -> Finding:
    """The identity may create a version: asked for one of an impossible size, which is refused as invalid."""
    creation = inquiry.keyring.keys.create_rsa_key(
        inquiry.keyring.keyring.mek_name, size=IMPOSSIBLE_KEY_SIZE, retry_total=0
    )
    return await _refused(inquiry, "create", creation, HTTPStatus.BAD_REQUEST)


async def can_update_version(inquiry: Inquiry) -> Finding:
    """The identity may disable and enable versions: asked for one that does not exist, which is not found."""
    update = inquiry.keyring.keys.update_key_properties(inquiry.keyring.keyring.mek_name, uuid4().hex, enabled=True)
    return await _refused(inquiry, "update", update, HTTPStatus.NOT_FOUND)


async def _refused(inquiry: Inquiry, operation: str, request: Awaitable[object], expected: HTTPStatus) -> Finding:
    """Expect this refusal of a request; any other failure is raised as what it means."""
    try:
        await request
    except AzureError as error:
        if isinstance(error, HttpResponseError) and error.status_code == expected:
            return good(f"the vault got as far as refusing an invalid {operation} request with {expected:d}")
        name = inquiry.keyring.keyring.mek_name
        raise keyturn_error(interpret(error, name, None, operation), operation) from error
    return bad(
        f"the vault accepted an {operation} request that it must refuse",
        "look at the MEK's newest version, and disable it if nobody knows it; then tell the developers",
    )
