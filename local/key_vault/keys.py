"""Operations on keys as such: create, get, update, and the two lists."""

import re
from collections.abc import Callable, Sequence
from typing import Any
from urllib.parse import urlencode

from cryptography.hazmat.primitives.asymmetric.rsa import generate_private_key

from local.key_vault.errors import VaultError, bad_parameter
from local.key_vault.model import KeyVersion
from local.key_vault.requests import CreateKey, UpdateKey, decode_base64url, encode_base64url, parse
from local.key_vault.vault import Call, Vault

NAME = re.compile(r"[0-9a-zA-Z-]{1,127}")
API_VERSION = "2025-07-01"
MAX_PAGE = 25  # what the service's documentation allows for maxresults
DEFAULT_PAGE = 5  # far below the service's 25: a caller that reads one page only is found out early


def check_name(name: str) -> None:
    """Refuse a name that no key can have.

    Raises:
        VaultError: 400 BadParameter.
    """
    if NAME.fullmatch(name) is None:
        raise bad_parameter(f"name: {name!r} must be 1 to 127 letters, digits and dashes")


async def create(vault: Vault, call: Call) -> dict[str, Any]:
    """Create a key, or a new version of the key with this name."""
    check_name(call.key_name)
    wanted = parse(CreateKey, call.body)
    private_key = await vault.in_thread(
        generate_private_key, public_exponent=wanted.public_exponent, key_size=wanted.key_size
    )
    if vault.store.deleted(call.key_name):
        raise VaultError(409, "Conflict", f"Key {call.key_name} is deleted but recoverable, so its name is taken.")
    key = KeyVersion.new(call.key_name, wanted, private_key)
    vault.store.add([key])
    call.version = key.version
    return key.bundle(vault.url)


async def get(vault: Vault, call: Call) -> dict[str, Any]:
    """Return a version with its public key, disabled or not."""
    key = vault.store.get(call.key_name, call.version or "")
    call.version = key.version
    return key.bundle(vault.url)


async def update(vault: Vault, call: Call) -> dict[str, Any]:
    """Change attributes, tags or permitted operations of one version."""
    wanted = parse(UpdateKey, call.body)
    key = vault.store.get(call.key_name, call.version or "").changed(wanted)
    vault.store.change(key)
    call.version = key.version
    return key.bundle(vault.url)


async def list_keys(vault: Vault, call: Call) -> dict[str, Any]:
    """Return a page of the keys, each with the attributes of its newest version."""
    newest = [vault.store.get(name) for name in vault.store.names()]
    return _page(f"{vault.url}/keys", newest, lambda key: key.name, call.query)


async def list_versions(vault: Vault, call: Call) -> dict[str, Any]:
    """Return a page of a key's versions in the order of their ids, which says nothing about their age.

    An unknown key has no versions and is no error.
    """
    versions = sorted(vault.store.versions(call.key_name), key=lambda key: key.version)
    return _page(f"{vault.url}/keys/{call.key_name}/versions", versions, lambda key: key.version, call.query)


def _page(url: str, keys: Sequence[KeyVersion], identity: Callable[[KeyVersion], str], query: Any) -> dict[str, Any]:
    """Return the keys after the skip token, and the link to the rest; ``keys`` are sorted by their identity."""
    size = _page_size(query.get("maxresults"))
    after = _skipped(query.get("$skiptoken"))
    rest = [key for key in keys if identity(key) > after]
    page, more = rest[:size], len(rest) > size
    base = url.removesuffix("/versions")
    body: dict[str, Any] = {"value": [key.item(f"{base}/{identity(key)}") for key in page], "nextLink": None}
    if more:
        token = encode_base64url(identity(page[-1]).encode())
        following = {"api-version": API_VERSION, "$skiptoken": token, "maxresults": size}
        body["nextLink"] = f"{url}?{urlencode(following)}"
    return body


def _page_size(text: str | None) -> int:
    if text is None:
        return DEFAULT_PAGE
    if not text.isascii() or not text.isdecimal() or not 1 <= int(text) <= MAX_PAGE:
        raise bad_parameter(f"maxresults: {text!r} must be a number from 1 to {MAX_PAGE}")
    return int(text)


def _skipped(token: str | None) -> str:
    try:
        return decode_base64url(token or "").decode()
    except ValueError as error:
        raise bad_parameter("$skiptoken: must be taken from a nextLink") from error
