"""A document's fields: every byte of a field and every part of its place counts, and what was changed is named."""

from typing import Any

import pytest

from keyturn.diagnosis.document import diagnose_document
from keyturn.diagnosis.models import FIELDS_MAX, Verdict
from keyturn.errors import InvalidRequestError, UnavailableError
from tests.keyturn.diagnosis.damaged_documents import SECRET_TEXTS, WORKSPACE, DamagedDocuments, flipped, title_of
from tests.keyturn.local_keyring import encoded

pytestmark = pytest.mark.usefixtures("mixed_types")

# What each property of a stored field becomes in the tests, and the verdict that it must have.
HARMS: dict[str, tuple[dict[str, Any], Verdict]] = {
    "another format": ({"enc": 3}, Verdict.FIELD_MALFORMED),
    "no format": ({"enc": ...}, Verdict.FIELD_MALFORMED),
    "another algorithm": ({"alg": "A128GCM"}, Verdict.FIELD_MALFORMED),
    "no tag": ({"tag": ...}, Verdict.FIELD_MALFORMED),
    "a nonce that is too short": ({"iv": "AAAA"}, Verdict.FIELD_MALFORMED),
    "something more": ({"note": "?"}, Verdict.FIELD_MALFORMED),
    "another dekId": ({"dekId": "another"}, Verdict.ROW_MISSING),
    "a dekId that nothing can have": ({"dekId": "a/b#c?"}, Verdict.ROW_MISSING),
    "no dekId": ({"dekId": ...}, Verdict.FIELD_MALFORMED),
    "another version": ({"mekVersion": "0" * 32}, Verdict.FIELD_VERSION_UNKNOWN),
}


async def test_a_sound_document_is_described_field_by_field(damaged: DamagedDocuments) -> None:
    """Both fields authenticate under one DEK, and no text of them is told."""
    document = await damaged.add()

    found = await damaged.diagnose(document)

    assert found.verdict == Verdict.SOUND
    assert {field.field_path: field.authenticates for field in found.fields} == {"title": True, "author/name": True}
    assert [document["title"]["dekId"]] == [dek.dek_id for dek in found.deks]
    assert not [text for text in SECRET_TEXTS if text in found.model_dump_json()]


@pytest.mark.parametrize("harm", HARMS)
async def test_a_changed_property_of_a_field_is_named(damaged: DamagedDocuments, harm: str) -> None:
    """The worst field gives the document its verdict; the other field still opens."""
    change, verdict = HARMS[harm]
    document = await damaged.add()
    await damaged.change(document, **change)

    found = await damaged.diagnose(document)

    assert (found.verdict, title_of(found).verdict) == (verdict, verdict)
    assert verdict.next_step == found.next_step
    assert "title" in found.finding
    assert next(field for field in found.fields if field.field_path == "author/name").authenticates


@pytest.mark.parametrize("name", ["iv", "ct", "tag"])
async def test_every_character_of_a_ciphertext_counts(damaged: DamagedDocuments, name: str) -> None:
    """Nonce, ciphertext and tag authenticate as a whole."""
    document = await damaged.add()
    for position in range(len(document["title"][name].rstrip("="))):
        await damaged.change(document, **{name: flipped(document["title"][name], position)})

        found = title_of(await damaged.diagnose(document))

        assert found.verdict in (Verdict.FIELD_TAMPERED, Verdict.FIELD_MALFORMED), position
        assert not found.authenticates


async def test_another_dek_in_the_row_is_named(damaged: DamagedDocuments) -> None:
    """A row that was given a DEK of its own opens, with its own key check, and the field does not."""
    document = await damaged.add()
    other = await damaged.local_keyring.row(
        await damaged.local_keyring.add((await damaged.row(document))["mekVersion"]), ""
    )
    await damaged.change_row(document, wrappedDek=other.raw["wrappedDek"], keyCheck=other.raw["keyCheck"])

    found = title_of(await damaged.diagnose(document))

    assert (found.verdict, found.authenticates) == (Verdict.FIELD_TAMPERED, False)


async def test_a_key_check_that_was_changed_alone_is_distinguished(damaged: DamagedDocuments) -> None:
    """The field authenticates: the DEK is the right one."""
    document = await damaged.add()
    await damaged.change_row(document, keyCheck=encoded(bytes(16)))

    found = title_of(await damaged.diagnose(document))

    assert (found.verdict, found.authenticates) == (Verdict.KEY_CHECK_DIFFERS, True)


async def test_a_field_that_was_never_encrypted_is_named(damaged: DamagedDocuments) -> None:
    """Plain text in a field that the settings name is told, without the text."""
    document = await damaged.add()
    await damaged.notes.replace_item(document["id"], {**document, "title": SECRET_TEXTS[0]})

    found = await damaged.diagnose(document)

    assert (found.verdict, title_of(found).dek_id) == (Verdict.FIELD_PLAIN, None)
    assert SECRET_TEXTS[0] not in found.model_dump_json()


@pytest.mark.parametrize(
    "foreign",
    [
        "vault:v1:8SDd3WHDOjf7mq69CyCqYjBXAiQQAVZRkFM13ok481zo",
        {"dekId": "k", "iv": "AAAA", "ciphertext": "AAAA", "tag": "AAAA"},
        {"iv": "AAAA", "ciphertext": "AAAA"},
    ],
)
async def test_a_field_that_another_system_has_encrypted_is_named(damaged: DamagedDocuments, foreign: object) -> None:
    """It is neither taken for plain text, which would be encrypted, nor for a stored form of ours that was changed."""
    document = await damaged.add()
    await damaged.notes.replace_item(document["id"], {**document, "title": foreign})

    found = await damaged.diagnose(document)

    assert (found.verdict, title_of(found).verdict) == (Verdict.FIELD_FOREIGN, Verdict.FIELD_FOREIGN)
    assert "AAAA" not in found.model_dump_json()


async def test_a_document_without_encrypted_fields_is_named(damaged: DamagedDocuments) -> None:
    """It may be the wrong one."""
    await damaged.notes.create_item({"id": "plain", "workspaceId": WORKSPACE})

    assert (await damaged.diagnose({"id": "plain"})).verdict == Verdict.NOTHING_ENCRYPTED


async def test_a_document_that_is_gone_is_named(damaged: DamagedDocuments) -> None:
    """Under this partition key, or under any."""
    document = await damaged.add()

    other = await diagnose_document(damaged.keyring, damaged.notes.id, document["id"], "another")
    anywhere = await diagnose_document(damaged.keyring, damaged.notes.id, document["id"], None)

    assert (other.verdict, anywhere.verdict) == (Verdict.DOCUMENT_MISSING, Verdict.SOUND)
    assert (await damaged.diagnose({"id": "absent"})).verdict == Verdict.DOCUMENT_MISSING


async def test_an_id_that_several_documents_have_needs_a_partition(damaged: DamagedDocuments) -> None:
    """The error names the parameter."""
    document = await damaged.add()
    await damaged.notes.create_item({**document, "workspaceId": "another"})

    with pytest.raises(InvalidRequestError) as refused:
        await diagnose_document(damaged.keyring, damaged.notes.id, document["id"], None)

    assert refused.value.facts["field"] == "partition"


@pytest.mark.parametrize(
    ("container", "document_id", "field"),
    [("absent", "a", "container"), (None, "a", "container"), ("notes", "a/b", "id"), ("notes", None, "id")],
)
async def test_a_request_that_cannot_be_is_refused(
    damaged: DamagedDocuments, container: str | None, document_id: str | None, field: str
) -> None:
    """The error names the parameter, and the containers that there are."""
    name = damaged.notes.id if container == "notes" else container

    with pytest.raises(InvalidRequestError) as refused:
        await diagnose_document(damaged.keyring, name, document_id, None)

    assert refused.value.facts["field"] == field
    assert field != "container" or damaged.notes.id in refused.value.facts["expected"]


async def test_many_fields_are_described_up_to_a_bound(damaged: DamagedDocuments) -> None:
    """How many were left out is told."""
    document = await damaged.add()
    many = {f"field{number}": document["title"] for number in range(FIELDS_MAX)}
    await damaged.notes.replace_item(document["id"], {**document, **many})

    found = await damaged.diagnose(document)

    assert (len(found.fields), found.fields_omitted) == (FIELDS_MAX, 2)


async def test_a_container_that_does_not_answer_is_no_verdict(damaged: DamagedDocuments) -> None:
    """A failing service says nothing about a document."""
    document = await damaged.add()
    damaged.local_keyring.cosmos.fault(operation="read", kind="status", status=503, count=None)

    with pytest.raises(UnavailableError):
        await damaged.diagnose(document)
