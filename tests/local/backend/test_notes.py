"""The note service: notes are stored encrypted, read decrypted, and what is wrong is said."""

import subprocess
import sys
from typing import Any

import pytest

from tests.local.backend.running_backend import Backend, LocalKeyring
from tests.local.services import REPOSITORY

NOTE = {"workspaceId": "w1", "title": "A title", "body": "A body"}


def create(backend: Backend) -> dict[str, Any]:
    """Create the example note and return its key."""
    answer = backend.call("POST", "/api/notes", json=NOTE)
    assert answer.status_code == 201
    key: dict[str, Any] = answer.json()
    return key


async def test_note_is_stored_encrypted_and_read_decrypted(quiet: Backend, shared_keyring: LocalKeyring) -> None:
    """Title and body are ciphertext in the container and plaintext over HTTP."""
    key = create(quiet)

    stored = await shared_keyring.notes.read_item(key["id"], partition_key="w1")
    read = quiet.call("GET", f"/api/notes/{key['id']}", params={"workspaceId": "w1"}).json()

    assert (stored["title"]["enc"], stored["body"]["mekVersion"]) == (2, shared_keyring.version)
    assert {name: read[name] for name in NOTE} == NOTE


@pytest.mark.parametrize("place", ["workspace", "id", "field"])
async def test_copied_note_is_not_read(quiet: Backend, shared_keyring: LocalKeyring, place: str) -> None:
    """Another tenant's note that is copied into a workspace, under another id or into another field is refused."""
    stored = await shared_keyring.notes.read_item(create(quiet)["id"], partition_key="w1")
    copies = {
        "workspace": {"workspaceId": "thief"},
        "id": {"id": f"{stored['id']}-copy"},
        "field": {"title": stored["body"]},
    }
    copy = {**stored, **copies[place]}
    await shared_keyring.notes.upsert_item(copy)

    answer = quiet.call("GET", f"/api/notes/{copy['id']}", params={"workspaceId": copy["workspaceId"]})

    assert answer.status_code == 500
    assert "does not authenticate" in answer.json()["error"]
    assert not any(text in answer.text for text in (NOTE["title"], NOTE["body"]))


async def test_notes_share_deks_as_the_key_policy_says(local_keyring: LocalKeyring) -> None:
    """The policy is changed while the backend runs; notes that are there already are read as before."""
    backend = local_keyring.start("--reads-per-second", 0, "--writes-per-second", 0)
    before = create(backend)
    report = backend.load(keyPolicy={"per": "partition"})
    keys = [create(backend) for _ in range(3)]

    stored = [await local_keyring.notes.read_item(key["id"], partition_key="w1") for key in keys]
    assert report["keyPolicy"]["per"] == "partition"
    assert len({note["title"]["dekId"] for note in stored}) == 1
    for key in (before, *keys):
        assert backend.call("GET", f"/api/notes/{key['id']}", params={"workspaceId": "w1"}).status_code == 200
    backend.service.stop()


@pytest.mark.parametrize("audience", ["", "https://vault.azure.net"])
def test_a_note_is_read_with_a_token_for_the_backend(
    quiet: Backend, shared_keyring: LocalKeyring, audience: str
) -> None:
    """Without a token, and with one for another service, nobody learns whether there is such a note."""
    known = f"/api/notes/{create(quiet)['id']}"
    token = shared_keyring.token(audience) if audience else ""

    refused = [quiet.call("GET", path, token, params={"workspaceId": "w1"}) for path in (known, "/api/notes/none")]

    assert [answer.status_code for answer in refused] == [401, 401]
    assert refused[0].text == refused[1].text
    assert quiet.call("GET", known, params={"workspaceId": "w1"}).status_code == 200


def test_unknown_note_is_not_found(quiet: Backend) -> None:
    """A note that does not exist is a 404, and a read without a workspace a 400."""
    assert quiet.call("GET", "/api/notes/none", params={"workspaceId": "w1"}).status_code == 404
    assert quiet.call("GET", "/api/notes/none").status_code == 400


def test_malformed_note_is_refused(quiet: Backend) -> None:
    """The refusal names the property."""
    answer = quiet.call("POST", "/api/notes", json={**NOTE, "title": 5})

    assert answer.status_code == 400
    assert "title" in answer.json()["error"]


def test_healthy_backend_is_ready(quiet: Backend) -> None:
    """Health answers, and readiness has made a round trip through the vault and met both containers."""
    readiness = quiet.call("GET", "/api/diagnostics/readiness")

    assert quiet.call("GET", "/health").status_code == 200
    assert readiness.status_code == 200
    assert readiness.json()["checks"] == {"keyVault": "ok", "dekStore": "ok", "notes": "ok"}


async def test_backend_whose_key_is_disabled_is_not_ready(local_keyring: LocalKeyring) -> None:
    """Readiness names the dependency that fails and how; health stays what it is; a note's failure is said."""
    backend = local_keyring.start("--reads-per-second", 0, "--writes-per-second", 0, "--version-max-age", 0)
    key = create(backend)
    await local_keyring.mek.change(local_keyring.version, enabled=False)

    readiness = backend.call("GET", "/api/diagnostics/readiness")

    assert readiness.status_code == 503
    assert readiness.json()["checks"] == {"keyVault": "MekNotUsableError", "dekStore": "ok", "notes": "ok"}
    assert backend.call("GET", "/health").status_code == 200
    assert backend.call("GET", f"/api/notes/{key['id']}", params={"workspaceId": "w1"}).status_code == 200  # cached
    assert backend.call("POST", "/api/notes", json=NOTE).status_code == 500
    backend.service.stop()


@pytest.mark.parametrize(
    ("operation", "path"),
    [("health", "/health"), ("readiness", "/api/diagnostics/readiness"), ("read_note", "/api/notes/x?workspaceId=w")],
)
def test_each_endpoint_can_be_made_to_fail(quiet: Backend, operation: str, path: str) -> None:
    """A fault hits the operation that it names, once."""
    quiet.call("POST", "/_control/faults", json={"operation": operation, "kind": "status", "status": 500})

    assert quiet.call("GET", path).status_code == 500
    assert quiet.call("GET", path).status_code != 500


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("FIELD_ENCRYPT_ENABLED", "false", "field_encrypt_enabled"),
        ("FIELD_ENCRYPT_KEY_PROVIDER", "env", "field_encrypt_key_provider"),
        ("AZURE_KEYVAULT_URL", "https://elsewhere.example.com", "verify_challenge_resource"),
    ],
)
def test_bad_configuration_ends_the_start(shared_keyring: LocalKeyring, name: str, value: str, message: str) -> None:
    """A variable with a value that is not allowed is named."""
    key = ("--identity-key", shared_keyring.vault.identity_key)
    ended = subprocess.run(  # noqa: S603 - the command is our own
        [sys.executable, "-m", "local.backend", "--state", shared_keyring.folder / "b", "--port", "0", *key],
        env={**shared_keyring.environment, name: value},
        cwd=REPOSITORY,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )

    assert ended.returncode != 0
    assert message in ended.stderr
