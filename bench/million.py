"""``python -m bench.million [--documents N] [--json FILE]``: a rotation under a million documents, by two key policies.

The documents are really encrypted, by the library, under ``KeyPolicy(per="container", max_documents=10_000)``, and lie
in the local Cosmos DB. Beside it a store with a DEK a document is rotated, as large as is bearable: its rate tells how
long a million rows would take. Both at the limits that a vault has for RSA-4096.
"""

import argparse
import asyncio
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from itertools import batched
from pathlib import Path
from typing import IO, Any

from rich.console import Console

from bench.machine import this_machine
from bench.sweep import ActivityHarness, Case
from field_encrypt import FieldEncryption, KeyPolicy
from local.supervisor import LocalAzure, environment
from local.supervisor.bulk import put_items
from local.supervisor.environment import NOTE_FIELDS, NOTES_CONTAINER

DOCUMENTS = 1_000_000
POLICY = KeyPolicy(per="container", max_documents=10_000)
AT_A_TIME = 10_000
OWN_DEKS = 1_000  # rows of the store with a DEK a document
# A key of 4,096 bits takes seconds to make on a busy machine: its lost answer is not to be taken for none.
PATIENT = {"KEYTURN_CREATION_SETTLE": "PT30S"}


async def encrypt(env: Mapping[str, str], count: int, to: IO[str]) -> None:
    """Write so many encrypted notes, one a line; their DEKs are rows of the dek store."""
    async with FieldEncryption.open(env, policy=POLICY) as encryption:
        for numbers in batched(range(count), AT_A_TIME, strict=False):
            plain: list[dict[str, object]] = [
                {"id": f"n-{number}", "workspaceId": f"w-{number % 1000}", "title": f"Note {number}", "body": "b" * 200}
                for number in numbers
            ]
            notes = await encryption.encrypt_documents(
                NOTES_CONTAINER, plain, NOTE_FIELDS, partition_key_paths=["/workspaceId"]
            )
            to.writelines(f"{json.dumps(note)}\n" for note in notes)


def fill(azure: LocalAzure, count: int) -> dict[str, float]:
    """Encrypt and store so many notes, and return the seconds that each took."""
    backend = environment.backend_environment(azure.layout, azure.headers["backend"], azure.ca_bundle)
    env = {**backend, "FIELD_ENCRYPT_VERIFY_CHALLENGE_RESOURCE": "false"}
    command = [sys.executable, "-m", "bench.million", "--encrypt", "--documents", str(count)]
    with tempfile.TemporaryFile("w+") as notes:
        began = time.monotonic()
        # In a process of its own, whose identity and trusted certificates are those of the local Azure.
        subprocess.run(command, env=env, stdout=notes, check=True)  # noqa: S603 - our own
        encrypted = time.monotonic()
        notes.seek(0)
        put_items(azure, NOTES_CONTAINER, _parsed(notes))
        stored = time.monotonic()
    return {"encrypting": round(encrypted - began, 1), "storing": round(stored - encrypted, 1)}


def _parsed(lines: IO[str]) -> Iterator[dict[str, Any]]:
    return (json.loads(line) for line in lines)


def rotated(case: Case, documents: int) -> dict[str, Any]:
    """Rotate a local Azure of this case that holds so many documents beside, and return the figures."""
    harness = ActivityHarness(case)
    try:
        with harness.azure.running():
            seconds = fill(harness.azure, documents) if documents else {}
            sweep = asyncio.run(harness.rotate())
    finally:
        harness.remove()
    found = {"rows": sweep.rows, "sweepSeconds": round(sweep.seconds, 1), "unwraps": sweep.unwraps}
    return {**found, "rowsPerSecond": round(sweep.rows / sweep.seconds, 1), "throttled": sweep.throttled, **seconds}


def main() -> None:
    """Measure, print, and write."""
    parser = argparse.ArgumentParser(prog="python -m bench.million", description="A rotation under many documents.")
    parser.add_argument("--documents", type=int, default=DOCUMENTS, help="documents that share DEKs")
    parser.add_argument("--json", type=Path, help="file to write the figures to")
    parser.add_argument("--encrypt", action="store_true", help="write encrypted notes, in this environment")
    arguments = parser.parse_args()
    if arguments.encrypt:
        asyncio.run(encrypt(os.environ, arguments.documents, sys.stdout))
        return
    machine = this_machine()
    shared = rotated(Case(0, 4096, PATIENT, limits="service"), arguments.documents)
    own = rotated(Case(OWN_DEKS, 4096, PATIENT, limits="service"), 0)
    hours = round(arguments.documents / own["rowsPerSecond"] / 3600, 1)
    found = {
        "measuredAt": datetime.now(UTC).isoformat(timespec="seconds"),
        "machine": machine.model_dump(by_alias=True),
        "documents": arguments.documents,
        "maxDocuments": POLICY.max_documents,
        "aDekPerContainer": shared,
        "aDekPerDocument": {**own, "hoursForAllDocuments": hours},
    }
    Console().print_json(data=found)
    if arguments.json:
        arguments.json.write_text(json.dumps(found, indent=2) + "\n")


if __name__ == "__main__":
    main()
