"""Input of a wrong type, which a type checker finds and Python does not: a clear error, and nothing in plaintext."""

import itertools
from collections.abc import Callable, Iterable
from typing import Any

import pytest

from field_encrypt import CallerError, DekCache, DekFollower, FieldPolicy, KeyPolicy, KeyVaultProvider, rewrap_all
from field_encrypt.errors import (
    DekNotFoundError,
    InvalidFieldPathError,
    InvalidPlaceError,
    InvalidSettingError,
    InvalidValueError,
)
from field_encrypt.fields import is_encrypted
from tests.field_encrypt.local_keyring import NOTE, LocalKeyring

KINDS: list[Callable[[list[str]], Iterable[str]]] = [list, tuple, iter, lambda names: dict.fromkeys(names).keys()]


NO_TEXTS: list[Any] = [5, None, b"note-1", ["note-1"], {"id": "note-1"}]


@pytest.mark.parametrize(
    ("part", "value"),
    [
        *itertools.product(["container", "document id"], NO_TEXTS),
        *(("context", value) for value in (*NO_TEXTS[2:4], 5, "t")),
    ],
)
async def test_a_place_of_another_type_is_named(local_keyring: LocalKeyring, part: str, value: Any) -> None:
    """What was bound to a number or an object would open for no reader who gives the text."""
    place: list[Any] = ["notes", "note-1"]
    if part != "context":
        place[["container", "document id"].index(part)] = value
    context: dict[str, Any] = {"context": value} if part == "context" else {}

    calls = [local_keyring.encryption.encrypt_fields(place[0], place[1], NOTE, ["title"], **context)]
    stored = await local_keyring.encryption.encrypt_fields("notes", "note-1", NOTE, ["title"])
    calls += [local_keyring.encryption.decrypt_fields(place[0], place[1], stored, ["title"], **context)]
    for call in calls:
        with pytest.raises(InvalidPlaceError) as refused:
            await call
        assert refused.value.part == part
    assert len(await local_keyring.dek_ids()) == 1


@pytest.mark.parametrize("fields", [5, None, [5], [None], "title"])
async def test_fields_that_are_no_list_of_texts_are_named(local_keyring: LocalKeyring, fields: Any) -> None:
    """By the call, and by the policy."""
    with pytest.raises(InvalidFieldPathError, match="list of paths"):
        await local_keyring.encryption.encrypt_fields("notes", "note-1", NOTE, fields)
    for name in ("fields", "optional", "deterministic", "may_look_encrypted"):
        with pytest.raises(InvalidSettingError) as refused:
            FieldPolicy("notes", **{"fields": ["title"], name: fields})
        assert refused.value.setting == name


@pytest.mark.parametrize("kind", KINDS)
async def test_every_document_has_its_fields_encrypted(local_keyring: LocalKeyring, kind: Any) -> None:
    """An iterator is used up by the first document: those after it must not be left in plaintext."""
    notes = [{**NOTE, "id": f"note-{number}"} for number in range(3)]
    named = {"deterministic": kind(["title"]), "may_look_encrypted": kind(["title"])}
    encryption = local_keyring.encryption

    stored = await encryption.encrypt_documents("notes", notes, kind(["title", "author/name"]), **named)

    assert all(is_encrypted(note["title"]) and is_encrypted(note["author"]["name"]) for note in stored)  # type: ignore[index]  # a note
    assert {note["title"]["alg"] for note in stored} == {"A256SIV-HKDF-SHA256"}  # type: ignore[index]  # a field
    assert await encryption.decrypt_documents("notes", stored, kind(["title", "author/name"])) == notes


@pytest.mark.parametrize("at_once", [0, -1, "4", True, 1.5])
async def test_no_documents_at_once_is_refused(local_keyring: LocalKeyring, at_once: Any) -> None:
    """It would wait for ever."""
    with pytest.raises(InvalidSettingError, match="at_once"):
        await local_keyring.encryption.encrypt_documents("notes", [NOTE], ["title"], at_once=at_once)


@pytest.mark.parametrize("kind", [*KINDS, set])
def test_a_policy_keeps_its_fields(kind: Any) -> None:
    """However they were given, and whatever becomes of the list that they were given in."""
    given = ["title"]
    policy = FieldPolicy("notes", kind(given), kind(["due"]))
    given.clear()

    assert policy.patterns == ("title", "due")
    assert policy.in_document({"title": "t"}) == policy.in_document({"title": "t"}) == ["title"]


@pytest.mark.parametrize("setting", ["max_uses", "max_documents", "max_age"])
@pytest.mark.parametrize("value", ["100", 1.5, True, [1]])
def test_a_bound_of_another_type_is_named(setting: str, value: Any) -> None:
    """When the policy is made, not at the first save."""
    with pytest.raises(InvalidSettingError) as refused:
        KeyPolicy(**{setting: value})

    assert refused.value.setting == setting


IMPOSSIBLE = ["a/b", "a\\b", "a?b", "a#b", ".", "..", "x" * 1024, "\ud800", "a ", "a\n"]


@pytest.mark.parametrize("dek_id", IMPOSSIBLE)
async def test_an_id_that_no_row_can_have_has_no_row(local_keyring: LocalKeyring, dek_id: str) -> None:
    """A forged dekId leads to nothing else in the account, and is no reason to try again; a save heals the document."""
    encryption = local_keyring.encryption
    stored: Any = await encryption.encrypt_fields("notes", "note-1", NOTE, ["title"])
    forged = {**stored, "title": {**stored["title"], "dekId": dek_id}}

    with pytest.raises(DekNotFoundError) as missing:
        await local_keyring.reader().decrypt_fields("notes", "note-1", forged, ["title"])
    assert missing.value.dek_id == dek_id
    saved = await encryption.encrypt_fields("notes", "note-1", NOTE, ["title"], previous=forged)
    assert await local_keyring.reader().decrypt_fields("notes", "note-1", saved, ["title"]) == NOTE


@pytest.mark.parametrize("dek_id", [*IMPOSSIBLE, ""])
async def test_an_id_that_no_row_can_have_makes_no_row(local_keyring: LocalKeyring, dek_id: str) -> None:
    """The caller who gives it is told."""
    with pytest.raises(CallerError, match="dek_id"):
        await local_keyring.encryption.encrypt_fields("notes", "note-1", NOTE, ["title"], dek_id=dek_id)

    assert await local_keyring.dek_ids() == set()


@pytest.mark.parametrize("value", ["5", None, True, [1], -1, float("nan"), float("inf"), -0.5])
async def test_a_number_that_is_none_is_named(local_keyring: LocalKeyring, value: Any) -> None:
    """When the object is made or the work begins, not at the first entry, poll or call."""
    store, client = local_keyring.store, local_keyring.mek.client
    calls: dict[str, Callable[[], object]] = {
        "max_entries": lambda: DekCache(max_entries=value),
        "ttl_seconds": lambda: DekCache(ttl_seconds=value),
        "interval_seconds": lambda: DekFollower(store, DekCache(), interval_seconds=value),
        "current_version_max_age_seconds": lambda: KeyVaultProvider(client, current_version_max_age_seconds=value),
    }
    for setting, call in calls.items():
        with pytest.raises(InvalidSettingError, match=setting):
            call()
    with pytest.raises(InvalidSettingError, match="unwraps_per_second"):
        await rewrap_all(store, client, unwraps_per_second=value)


def test_nothing_may_be_cached_but_a_poll_has_to_pause(local_keyring: LocalKeyring) -> None:
    """No entry and no life are bounds; no interval is a loop without end."""
    DekCache(max_entries=0, ttl_seconds=0)
    for nothing in (0, 0.0):
        with pytest.raises(InvalidSettingError, match="interval_seconds"):
            DekFollower(local_keyring.store, DekCache(), interval_seconds=nothing)
    with pytest.raises(InvalidSettingError, match="max_entries"):
        DekCache(max_entries=1.5)  # type: ignore[arg-type]  # as a caller without types may


def _deep(levels: int) -> dict[str, Any]:
    note: dict[str, Any] = {"title": "t"}
    inner = note
    for _ in range(levels):
        inner["in"] = inner = {}
    return note


@pytest.mark.parametrize("levels", [128, 600])  # the first is Cosmos DB's own bound
async def test_a_document_may_be_deep(local_keyring: LocalKeyring, levels: int) -> None:
    """Where its fields are not."""
    stored = await local_keyring.encryption.encrypt_fields("notes", "note-1", _deep(levels), ["title"])

    assert is_encrypted(stored["title"])
    assert (await local_keyring.reader().decrypt_fields("notes", "note-1", stored, ["title"]))["title"] == "t"


async def test_a_document_that_is_too_deep_is_named(local_keyring: LocalKeyring) -> None:
    """Before a row is made."""
    with pytest.raises(InvalidValueError, match="document"):
        await local_keyring.encryption.encrypt_fields("notes", "note-1", _deep(100_000), ["title"])
    assert await local_keyring.dek_ids() == set()
