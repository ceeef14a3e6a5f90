"""``python -m bench.fields [--documents N] [--json FILE]``: what encrypting and decrypting documents costs.

On the local vault (RSA 4096, without limits or latency) and the local Cosmos DB, which share the processors: the
figures are upper bounds. Warm has the DEK in the cache; cold reads its row and has the vault unwrap it.
"""

import argparse
import asyncio
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path

from rich.console import Console
from rich.table import Table

from bench.machine import this_machine
from field_encrypt import FieldEncryption, KeyPolicy
from local.supervisor import LocalAzure, Options, environment

DOCUMENTS = 20_000
OWN_DEKS = 500  # documents with a DEK each: every one is a row to create
COLD = 100  # documents that are read cold: every DEK is a call of the vault
FIELDS = ["title", "body", "author/name"]
KEY = ["/w"]
POLICIES = (KeyPolicy(), KeyPolicy(per="partition"), KeyPolicy(per="container"))


def notes(count: int) -> list[dict[str, object]]:
    """Return documents of the size of a note, in a hundred partitions."""
    author, title, body = {"name": "Dana"}, "t" * 40, "b" * 1_000
    return [
        {"id": f"n-{number}", "w": f"w-{number % 100}", "title": title, "body": body, "author": author}
        for number in range(count)
    ]


async def measure(env: Mapping[str, str], documents: int) -> dict[str, float]:
    """Return the microseconds a document for each kind of work."""
    found: dict[str, float] = {}
    for policy in POLICIES:
        count = min(documents, OWN_DEKS) if policy.per == "document" else documents
        async with FieldEncryption.open(env, policy=policy) as encryption:
            began = time.perf_counter()
            stored = await encryption.encrypt_documents("notes", notes(count), FIELDS, partition_key_paths=KEY)
            found[f"encrypt, a DEK per {policy.per}"] = _microseconds(began, count)
            began = time.perf_counter()
            await encryption.decrypt_documents("notes", stored, FIELDS, partition_key_paths=KEY)
            found[f"decrypt warm, a DEK per {policy.per}"] = _microseconds(began, count)
        async with FieldEncryption.open(env) as cold:
            some = stored[:COLD]
            began = time.perf_counter()
            await cold.decrypt_documents("notes", some, FIELDS, partition_key_paths=KEY)
            found[f"decrypt cold, a DEK per {policy.per}"] = _microseconds(began, len(some))
    return found


def _microseconds(began: float, count: int) -> float:
    return round((time.perf_counter() - began) / count * 1e6, 1)


def on_local_azure(documents: int) -> dict[str, float]:
    """Measure in a process of its own, whose identity and trusted certificates are those of a local Azure."""
    with tempfile.TemporaryDirectory(prefix="fields-bench-") as folder:
        azure = LocalAzure(Options(state=Path(folder), bits=4096, vault_limits="off"))
        try:
            for service in ("identity", "key_vault", "cosmos"):
                azure.start(service)
            azure.seed()
            backend = environment.backend_environment(azure.layout, azure.headers["backend"], azure.ca_bundle)
            env = {**backend, "FIELD_ENCRYPT_VERIFY_CHALLENGE_RESOURCE": "false"}
            command = [sys.executable, "-m", "bench.fields", "--measure", "--documents", str(documents)]
            ended = subprocess.run(command, env=env, capture_output=True, text=True, check=True)  # noqa: S603 - our own
        finally:
            azure.down()
    figures: dict[str, float] = json.loads(ended.stdout)
    return figures


def main() -> None:
    """Measure, print, and write."""
    parser = argparse.ArgumentParser(prog="python -m bench.fields", description="What encrypting documents costs.")
    parser.add_argument("--documents", type=int, default=DOCUMENTS, help="documents under shared DEKs")
    parser.add_argument("--json", type=Path, help="file to write the figures to")
    parser.add_argument("--measure", action="store_true", help="measure in the environment of this process")
    arguments = parser.parse_args()
    if arguments.measure:
        sys.stdout.write(json.dumps(asyncio.run(measure(os.environ, arguments.documents))))
        return
    machine = this_machine()
    figures = on_local_azure(arguments.documents)
    table = Table("three fields of a note", "µs a document")
    for name, microseconds in figures.items():
        table.add_row(name, str(microseconds))
    Console().print(table)
    found = {
        "measuredAt": datetime.now(UTC).isoformat(timespec="seconds"),
        "machine": machine.model_dump(by_alias=True),
        "documents": arguments.documents,
        "microsecondsPerDocument": figures,
    }
    if arguments.json:
        arguments.json.write_text(json.dumps(found, indent=2) + "\n")


if __name__ == "__main__":
    main()
