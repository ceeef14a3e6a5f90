"""Puts right from outside what an earlier test left: one enabled version, every row under it, and no row too many.

By the SDKs alone, not by a rotation: a test must not fail because what it tests is broken in another test. What is as
it should be is not touched.
"""

import base64
from collections.abc import Iterable
from typing import Any

from field_encrypt.dek import Dek, key_check
from keyturn.key_vault.versions import TEMPORARY_FOR_TAG
from tests.end_to_end.app_harness import AppHarness


async def tidy(app: AppHarness) -> None:
    """Leave the rows that notes name, each under the newest enabled version, and that version alone enabled."""
    current = await app.newest_version()
    rows = {row["id"]: row async for row in app.rows.read_all_items()}
    named = {dek_id async for note in app.notes.read_all_items() for dek_id in _deks_of(note)}
    for row_id in rows.keys() - named:
        await app.delete_row(row_id)
    strays = [rows[row_id] for row_id in sorted(rows.keys() & named) if rows[row_id].get("mekVersion") != current]
    await _enable(app, {str(row["mekVersion"]) for row in strays if "mekVersion" in row})
    for row in strays:
        await _rewrap(app, row, current)
    await _disable_all_but(app, current)


def _deks_of(note: dict[str, Any]) -> Iterable[str]:
    return [str(value["dekId"]) for value in note.values() if isinstance(value, dict) and "dekId" in value]


async def _rewrap(app: AppHarness, row: dict[str, Any], version: str) -> None:
    wrapped = base64.b64decode(row["wrappedDek"])
    dek = Dek(await app.mek.unwrap(wrapped, str(row["mekVersion"]), str(row["algorithm"])))
    fetched = await app.mek.fetch_version(version)
    own = {name: value for name, value in row.items() if not name.startswith("_") and name != "previousWrap"}
    new = {
        "wrappedDek": base64.b64encode(app.mek.wrap(dek.reveal(), fetched)).decode(),
        "mekVersion": version,
        "algorithm": "RSA-OAEP-256",
        "keyCheck": base64.b64encode(key_check(dek)).decode(),
    }
    await app.rows.upsert_item({**own, **new})


async def _enable(app: AppHarness, versions: Iterable[str]) -> None:
    for version in versions:
        await app.keys.update_key_properties(app.mek_name, version, enabled=True)


async def _disable_all_but(app: AppHarness, current: str) -> None:
    listed = [version async for version in app.keys.list_properties_of_key_versions(app.mek_name)]
    for version in listed:
        if version.enabled and version.version != current:
            tags = {name: value for name, value in (version.tags or {}).items() if name != TEMPORARY_FOR_TAG}
            await app.keys.update_key_properties(app.mek_name, version.version, enabled=False, tags=tags)
