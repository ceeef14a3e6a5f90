"""I9: everything that a run of an activity leaves behind, so that two outcomes can be compared."""

from collections.abc import Mapping
from typing import Any

from tests.invariants.harness import ActivityHarness

# Times at which something was looked at, which say nothing about what became of it.
TIMES = (("preflight", "at"),)

# What a running migration keeps renewing, so that others see that it is alive.
RENEWED = {"migration-lease": {"takenAt", "expiresAt"}}


async def outcome(harness: ActivityHarness, run_id: str) -> dict[str, Any]:
    """Return the record, every other document of the keyring, the rows and the versions as they are."""
    documents = {document["id"]: _lasting(document) for document in await harness.documents()}
    record = documents.pop(run_id)
    for part, name in TIMES:
        if record.get(part) is not None:
            del record[part][name]
    return {
        "record": record,
        "documents": documents,
        "rows": {item["id"]: _own(item) for item in await harness.rows()},
        "versions": await harness.vault_versions(),
        "notes": {item["id"]: _own(item) for item in await harness.stored_notes()},
    }


def differences(first: Mapping[str, Any], second: Mapping[str, Any]) -> list[str]:
    """I9: name what a second run has changed."""
    wrong = []
    for part, before in first.items():
        after = second[part]
        if isinstance(before, Mapping) and isinstance(after, Mapping):
            names = [name for name in before.keys() | after.keys() if before.get(name) != after.get(name)]
            wrong += [f"{part}: {name} is not what the first run left" for name in sorted(names)]
        elif before != after:
            wrong.append(f"{part} is not what the first run left")
    return wrong


def _own(item: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in item.items() if not name.startswith("_")}


def _lasting(document: Mapping[str, Any]) -> dict[str, Any]:
    renewed = RENEWED.get(document["kind"], set())
    return {name: value for name, value in _own(document).items() if name not in renewed}
