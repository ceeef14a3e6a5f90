"""Operations with a key: wrap, unwrap, encrypt and decrypt. For RSA, wrapping is encrypting."""

import time
from typing import Any

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric.padding import MGF1, OAEP
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey

from local.key_vault.errors import VaultError, bad_parameter, not_allowed
from local.key_vault.model import KeyVersion
from local.key_vault.requests import Algorithm, KeyOperation, UseKey, encode_base64url, parse
from local.key_vault.vault import Call, Vault

HASHES: dict[Algorithm, type[hashes.HashAlgorithm]] = {"RSA-OAEP": hashes.SHA1, "RSA-OAEP-256": hashes.SHA256}
PROTECTING: tuple[KeyOperation, ...] = ("wrapKey", "encrypt")


async def wrap(vault: Vault, call: Call) -> dict[str, Any]:
    """Wrap a data key."""
    return await _use(vault, call, "wrapKey")


async def unwrap(vault: Vault, call: Call) -> dict[str, Any]:
    """Unwrap a data key."""
    return await _use(vault, call, "unwrapKey")


async def encrypt(vault: Vault, call: Call) -> dict[str, Any]:
    """Encrypt a small value."""
    return await _use(vault, call, "encrypt")


async def decrypt(vault: Vault, call: Call) -> dict[str, Any]:
    """Decrypt a small value."""
    return await _use(vault, call, "decrypt")


async def _use(vault: Vault, call: Call, operation: KeyOperation) -> dict[str, Any]:
    wanted = parse(UseKey, call.body)
    key = vault.store.get(call.key_name, call.version or "")
    call.version = key.version
    check_usable(key, operation)
    work = _protect if operation in PROTECTING else _open
    value = await vault.in_thread(work, key.private_key, wanted.alg, wanted.value)
    return {"kid": key.kid(vault.url), "value": encode_base64url(value)}


def check_usable(key: KeyVersion, operation: KeyOperation) -> None:
    """Refuse an operation that the version's attributes do not allow.

    Expired and not yet valid versions still open what they protected. A disabled version does nothing at all here,
    while the real service was seen to wrap and encrypt with one (azure-sdk-for-python issue 45342).

    Raises:
        VaultError: 403 Forbidden with an inner code.
    """
    now = time.time()
    if not key.enabled:
        raise not_allowed(operation, "a disabled", "KeyDisabled")
    if operation not in key.key_ops:
        message = f"Operation {operation} is not permitted on this key."
        raise VaultError(403, "Forbidden", message, "KeyOperationForbidden")
    if operation in PROTECTING and key.exp is not None and now >= key.exp:
        raise not_allowed(operation, "an expired", "KeyExpired")
    if operation in PROTECTING and key.nbf is not None and now < key.nbf:
        raise not_allowed(operation, "a not yet valid", "KeyNotYetValid")


def _padding(algorithm: Algorithm) -> OAEP:
    digest = HASHES[algorithm]
    return OAEP(mgf=MGF1(digest()), algorithm=digest(), label=None)


def _protect(key: RSAPrivateKey, algorithm: Algorithm, value: bytes) -> bytes:
    try:
        return key.public_key().encrypt(value, _padding(algorithm))
    except ValueError as error:
        raise bad_parameter("value: is longer than the key and algorithm allow") from error


def _open(key: RSAPrivateKey, algorithm: Algorithm, value: bytes) -> bytes:
    """Decrypt; a wrong key, a wrong algorithm and damaged text all look the same, as in the service."""
    try:
        return key.decrypt(value, _padding(algorithm))
    except ValueError as error:
        raise bad_parameter("The parameter is incorrect.\r\n") from error
