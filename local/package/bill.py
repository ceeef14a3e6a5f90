"""``python -m local.package.bill SBOM``: whether the bill of materials lists what is packed and locked, exactly."""

import json
import re
import sys
import zipfile
from pathlib import Path
from typing import Any

from local.package.packages import INSTALLED_AT, LOCK, canonical, pinned
from local.supervisor.layout import REPOSITORY

_METADATA = re.compile(re.escape(INSTALLED_AT) + r"/([^/]+)-([^/-]+)\.dist-info/METADATA")


class BillDiffersError(Exception):
    """The bill lists other packages than the archive or the lock; the text names each."""


def listed(bill: Path) -> dict[str, str]:
    """Return the versions of the packages in a CycloneDX document, by canonical name."""
    document: dict[str, Any] = json.loads(bill.read_text())
    return {canonical(each["name"]): each["version"] for each in document.get("components", ())}


def packed(archive: Path) -> dict[str, str]:
    """Return the versions of the packages in a bundle's archive, by canonical name."""
    with zipfile.ZipFile(archive) as opened:
        found = [match for name in opened.namelist() if (match := _METADATA.fullmatch(name))]
    return {canonical(match[1]): match[2] for match in found}


def check(bill: Path, archive: Path, lock: Path) -> int:
    """Return how many packages all three agree on.

    Raises:
        BillDiffersError: a package is missing in one of them, or has another version there.
    """
    known = {"bill": listed(bill), "archive": packed(archive), "lock": pinned(lock.read_text())}
    names = sorted(set().union(*known.values()))
    versions = {name: {where: each.get(name, "missing") for where, each in known.items()} for name in names}
    differing = [f"{name}: {found}" for name, found in versions.items() if len(set(found.values())) > 1]
    if differing or not names:
        raise BillDiffersError("\n".join(differing) or "no package at all")
    return len(names)


if __name__ == "__main__":
    try:
        print(
            f"{sys.argv[1]}: {check(Path(sys.argv[1]), REPOSITORY / 'dist' / 'keyturn.zip', LOCK)} packages, as packed"
        )
    except BillDiffersError as error:
        sys.exit(f"{sys.argv[1]} does not list what is deployed:\n{error}")
