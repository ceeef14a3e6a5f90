"""Puts right from outside what an earlier test left: one enabled version, every row under it, and no row too many.

By the SDKs alone, not by a rotation: a test must not fail because what it tests is broken in another test. What is as
it should be is not touched.
"""

import base64
from collections.abc import Iterable
from typing import Any

from field_encrypt.dek import Dek, key_check
from keyturn.key_vault.versions import LENT_TO_TAG
from tests.end_to_end.stage import Stage


async def tidy(stage: Stage) -> None:
    """Leave the rows that notes name, each under the newest enabled version, and that version alone enabled."""
    current = await stage.newest_version()
    rows = {row["id"]: row async for row in stage.rows.read_all_items()}
    named = {dek_id async for note in stage.notes.read_all_items() for dek_id in _deks_of(note)}
    for row_id in rows.keys() - named:
        await stage.delete_row(row_id)
    strays = [rows[row_id] for row_id in sorted(rows.keys() & named) if rows[row_id].get("mekVersion") != current]
    await _enable(stage, {str(row["mekVersion"]) for row in strays if "mekVersion" in row})
    for row in strays:
        await _rewrap(stage, row, current)
    await _disable_all_but(stage, current)


def _deks_of(note: dict[str, Any]) -> Iterable[str]:
    return [str(value["dekId"]) for value in note.values() if isinstance(value, dict) and "dekId" in value]


async def _rewrap(stage: Stage, row: dict[str, Any], version: str) -> None:
    wrapped = base64.b64decode(row["wrappedDek"])
    dek = Dek(await stage.mek.unwrap(wrapped, str(row["mekVersion"]), str(row["algorithm"])))
    fetched = await stage.mek.fetch_version(version)
    own = {name: value for name, value in row.items() if not name.startswith("_") and name != "previousWrap"}
    new = {
        "wrappedDek": base64.b64encode(stage.mek.wrap(dek.reveal(), fetched)).decode(),
        "mekVersion": version,
        "algorithm": "RSA-OAEP-256",
        "keyCheck": base64.b64encode(key_check(dek)).decode(),
    }
    await stage.rows.upsert_item({**own, **new})


async def _enable(stage: Stage, versions: Iterable[str]) -> None:
    for version in versions:
        await stage.keys.update_key_properties(stage.mek_name, version, enabled=True)


async def _disable_all_but(stage: Stage, current: str) -> None:
    listed = [version async for version in stage.keys.list_properties_of_key_versions(stage.mek_name)]
    for version in listed:
        if version.enabled and version.version != current:
            tags = {name: value for name, value in (version.tags or {}).items() if name != LENT_TO_TAG}
            await stage.keys.update_key_properties(stage.mek_name, version.version, enabled=False, tags=tags)
