"""What must hold for versions: I4 one new one a rotation, I5 none retired without approval, I7 nothing deleted."""

import hashlib
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any, Self

import rfc8785
from azure.cosmos.aio import ContainerProxy
from azure.keyvault.keys.aio import KeyClient

from keyturn.runs.records import RotationRecord
from tests.invariants.checks.rows import stored

MADE_BY, RETIRED_BY = "keyturn-rotation", "keyturn-retired-by"
DELETING = frozenset({"delete", "purge"})


@dataclass(frozen=True)
class Version:
    """One version as the vault lists it."""

    enabled: bool
    tags: Mapping[str, str]


async def versions_of(keys: KeyClient, mek_name: str) -> dict[str, Version]:
    """Return every version of the MEK by its id."""
    listed = keys.list_properties_of_key_versions(mek_name)
    return {str(found.version): Version(bool(found.enabled), dict(found.tags or {})) async for found in listed}


def not_one_new_version(before: Collection[str], after: Mapping[str, Version], run_id: str) -> list[str]:
    """I4: say so unless the rotation made exactly one version, with its tag."""
    made = [name for name in after if name not in before]
    tagged = [name for name in made if after[name].tags.get(MADE_BY) == run_id]
    wrong = [] if len(made) == 1 else [f"{len(made)} versions were made, not 1"]
    return wrong + [f"version {name} does not name its rotation" for name in made if name not in tagged]


def unapproved(versions: Mapping[str, Version], records: Mapping[str, RotationRecord]) -> list[str]:
    """I5: name every version that is retired without an approval of evidence that holds, by somebody else."""
    wrong = []
    for name, version in versions.items():
        if version.enabled or RETIRED_BY not in version.tags:
            continue
        record = records[version.tags[RETIRED_BY]]
        wrong += [f"version {name} is retired, but {reason}" for reason in _against(name, record)]
    return wrong


def _against(name: str, record: RotationRecord) -> list[str]:
    decision, evidence = record.decision, record.evidence
    if decision is None or decision.decision != "approved":
        return ["nobody approved"]
    if evidence is None:
        return ["no evidence is in force"]
    wrong = []
    if decision.digest != hashlib.sha256(rfc8785.dumps(evidence)).hexdigest():
        wrong.append("other evidence is in force than was approved")
    if decision.by.strip().casefold() == record.requested_by.strip().casefold():
        wrong.append("the requester approved")
    if name not in _texts(evidence.get("oldVersions")):
        wrong.append("the evidence does not name it")
    return wrong


def _texts(value: Any) -> list[str]:
    return [str(item) for item in value] if isinstance(value, list) else []


@dataclass(frozen=True)
class Inventory:
    """I7: what there was: versions, and rows by the database's own number of their creation (``_rid``)."""

    versions: frozenset[str]
    rows: Mapping[str, str]

    @classmethod
    async def take(cls, keys: KeyClient, mek_name: str, rows: ContainerProxy) -> Self:
        """Write down what there is."""
        there = {item["id"]: item["_rid"] for item in await stored(rows)}
        return cls(frozenset(await versions_of(keys, mek_name)), there)

    def missing_from(self, later: "Inventory", operations: Collection[str]) -> list[str]:
        """Name what is gone, what was made anew in its place, and every attempt to delete in the vault's log."""
        wrong = [f"version {name} is gone" for name in sorted(self.versions - later.versions)]
        for row_id, number in self.rows.items():
            if row_id not in later.rows:
                wrong.append(f"row {row_id} is gone")
            elif later.rows[row_id] != number:
                wrong.append(f"row {row_id} was deleted and created again")
        return wrong + [f"the vault was asked to {name}" for name in operations if name in DELETING]
