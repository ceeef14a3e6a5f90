"""I6: everything that a rotation on the local Azure leaves behind, and everything that must not be in it."""

import base64
import json
from collections.abc import Mapping
from typing import Any

from tests.end_to_end.stage import Stage
from tests.scanner import Secret

# What anybody may ask the app; the answers must not say more than they should.
PATHS = ("/api/rotations", "/api/rotations/{id}", "/api/rotations/{id}/report", "/api/rotations/{id}x", "/api/health")
WEBHOOK_PREFIX = "whsec_"


async def secrets_of(stage: Stage) -> list[Secret]:
    """Return every DEK, wrapped or not, and every password and key of the local Azure."""
    found = []
    async for row in stage.rows.read_all_items():
        wrapped = base64.b64decode(row["wrappedDek"])
        if "mekVersion" in row and row.get("mekName") == stage.mek_name:
            found.append(Secret("a DEK", await stage.mek.unwrap(wrapped, row["mekVersion"], row["algorithm"])))
        found.append(Secret("a wrapped DEK", wrapped))
    ends = stage.azure.endpoints()
    webhook = ends["approvalSecret"].removeprefix(WEBHOOK_PREFIX)
    master_key = (stage.azure.layout.folder("cosmos") / "master_key").read_bytes().strip()
    texts = {
        "the webhook secret": webhook,
        "the function key": ends["functionKey"],
        "the system key": ends["systemKey"],
        **{f"the identity of {name}": header for name, header in stage.azure.headers.items()},
    }
    found += [Secret(name, text.encode()) for name, text in texts.items()]
    return [
        *found,
        Secret("the webhook secret's bytes", base64.b64decode(webhook)),
        Secret("the database's master key", master_key),
    ]


async def traces_of(stage: Stage, rotation_id: str) -> Mapping[str, Any]:
    """Return the app's log, durable history, documents and HTTP answers, by what they are."""
    hub = "task_hub_control"
    instances = stage.control(hub, "GET", "instances")["instanceIds"]
    answers = [await stage.people.call("GET", path.format(id=rotation_id)) for path in PATHS]
    answers += [await stage.people.request_rotation(keyring="no such keyring")]
    answers += [await stage.people.decide(rotation_id, "0" * 64)]
    return {
        "log": stage.azure.layout.log("functions_host").read_bytes(),
        "history": [stage.control(hub, "GET", f"instances/{name}/history") for name in instances],
        "documents": [document async for document in stage.runs.read_all_items()],
        "answers": [json.dumps([answer.status, dict(answer.headers), answer.body]) for answer in answers],
    }
