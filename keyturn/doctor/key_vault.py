"""What Keyturn assumes of Key Vault (ids of docs/assumptions.md), seen without a change; and what is installed."""

import importlib.metadata
import re
import sys
from http import HTTPStatus
from pathlib import Path

from azure.core.exceptions import HttpResponseError, ResourceNotFoundError
from azure.keyvault.keys.crypto import KeyWrapAlgorithm
from azure.keyvault.keys.crypto.aio import CryptographyClient

from field_encrypt.dek import Dek
from field_encrypt.mek_errors import UnwrapRefusedError
from field_encrypt.mek_versions import MekVersionProperties
from keyturn.doctor.checks import BROKEN, DoctorContext, expect
from keyturn.preflight.checks import Item
from keyturn.preflight.context import unused_name
from keyturn.preflight.results import CheckResult, ok, problem, unchecked, warning

_NOT_ALLOWED = "this identity may only look at the MEK itself: ask as an identity that may read other keys"


async def algorithms_apart(context: DoctorContext) -> CheckResult:
    """What was wrapped with one algorithm is not unwrapped with the other."""
    version = await context.keyring.mek.newest_enabled()
    wrapped = context.keyring.mek.wrap(Dek.generate().reveal(), version, "RSA-OAEP")
    try:
        await context.keyring.mek.unwrap(wrapped, version.version, "RSA-OAEP-256")
    except UnwrapRefusedError:
        return ok("a wrap with RSA-OAEP was refused as RSA-OAEP-256")
    return problem("a wrap with RSA-OAEP was unwrapped as RSA-OAEP-256", BROKEN)


async def local_wrap_free(context: DoctorContext) -> CheckResult:
    """A wrap with the public key makes no request."""
    keyring = context.keyring
    version = (await keyring.mek.newest_enabled()).version
    key = await keyring.keys.get_key(keyring.keyring.mek_name, version)
    requests: list[object] = []
    async with CryptographyClient(key, context.resources.credential, raw_request_hook=requests.append) as client:
        await client.wrap_key(KeyWrapAlgorithm.rsa_oaep_256, Dek.generate().reveal())
    return expect(len(requests), 0, "a wrap by the SDK made no request")


async def unknown_key_lists_empty(context: DoctorContext) -> CheckResult:
    """The versions of a key that does not exist are an empty list."""
    try:
        listed = [found async for found in context.keyring.keys.list_properties_of_key_versions(unused_name("doctor"))]
    except HttpResponseError as error:
        if error.status_code == HTTPStatus.FORBIDDEN:
            return unchecked(_NOT_ALLOWED)
        raise
    return expect(listed, [], "an unknown key has an empty list of versions")


async def list_pages(context: DoctorContext) -> CheckResult:
    """A list in pages of one holds what a list in large pages holds."""
    keyring = context.keyring
    listed = keyring.keys.list_properties_of_key_versions(keyring.keyring.mek_name, max_page_size=1)
    found = {MekVersionProperties.of(properties).version async for properties in listed}
    known = set(await context.facts.versions())
    return expect(found, known, f"{len(known)} versions in pages of one are all versions")


async def list_at_key_scope(context: DoctorContext) -> CheckResult:
    """An identity whose right to read ends at the MEK may list its versions."""
    try:
        await context.keyring.keys.get_key(unused_name("doctor"))
    except ResourceNotFoundError:
        return unchecked(
            "this identity may read other keys too, so a list shows nothing",
            "ask as the app: keyturn doctor --from-app",
        )
    except HttpResponseError as error:
        if error.status_code != HTTPStatus.FORBIDDEN:
            raise
    return ok(f"may read no other key, and lists {len(await context.keyring.mek.list_versions())} versions")


async def newest_without_version(context: DoctorContext) -> CheckResult:
    """Without a version, the vault answers none that is older than another."""
    newest = await context.facts.newest()
    created = [found.created_on for found in (await context.facts.versions()).values() if found.created_on]
    youngest = max(created, default=newest.created_on)
    return expect(newest.created_on, youngest, "without a version the vault answers the newest")


async def names_ignore_case(context: DoctorContext) -> CheckResult:
    """The MEK is found by its name in other letters."""
    name = context.keyring.keyring.mek_name
    if (other := name.swapcase()) == name:
        return unchecked(f"{name} has no letters")
    try:
        found = await context.keyring.keys.get_key(other)
    except HttpResponseError as error:
        if error.status_code == HTTPStatus.FORBIDDEN:
            return unchecked(f"{other} may not be read; a role's scope may be spelt exactly")
        raise
    newest = await context.facts.newest()
    return expect(found.properties.version, newest.version, f"{other} is {name}")


_MEK = ("can_read_key", "mek_exists")
_OPENS = (*_MEK, "can_wrap_and_unwrap")

VAULT: dict[str, Item[DoctorContext]] = {
    "kv_algorithms_apart": Item(algorithms_apart, _OPENS),
    "kv_local_wrap_free": Item(local_wrap_free, _MEK),
    "kv_unknown_key_lists_empty": Item(unknown_key_lists_empty, _MEK),
    "kv_list_pages": Item(list_pages, _MEK),
    "kv_list_at_key_scope": Item(list_at_key_scope, _MEK),
    "kv_newest_without_version": Item(newest_without_version, _MEK),
    "kv_names_ignore_case": Item(names_ignore_case, _MEK),
}


PYTHON = (3, 13)  # infra/ deploys this one
_PIN = re.compile(r"^([A-Za-z0-9._-]+)==([^\s#;]+)", re.MULTILINE)


def check_versions(requirements: Path) -> list[CheckResult]:
    """Compare this interpreter and what is installed with what is deployed; the file is the app's requirements.txt."""
    running = sys.version_info[:2]
    python = f"Python {running[0]}.{running[1]}"
    deployed = f"{PYTHON[0]}.{PYTHON[1]}"
    interpreter = (
        ok(python) if running == PYTHON else warning(f"{python}, deployed is {deployed}", f"use Python {deployed}")
    )
    return [interpreter.named("python"), _packages(requirements).named("packages")]


def _packages(requirements: Path) -> CheckResult:
    try:
        pins = _PIN.findall(requirements.read_text())
    except OSError:
        return unchecked(f"{requirements} cannot be read", "name it: keyturn doctor --requirements FILE")
    others = [f"{name} {found or 'missing'}, pinned {pin}" for name, pin in pins if (found := _installed(name)) != pin]
    if others:
        return problem("; ".join(others), f"pip install -r {requirements.name}")
    return ok(f"all {len(pins)} pinned packages")


def _installed(name: str) -> str | None:
    try:
        return importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        return None
