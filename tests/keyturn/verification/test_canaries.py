"""Canaries: real documents of each container, the same throughout, and a failure only where a reader would fail too."""

from collections.abc import Sequence

import pytest

from keyturn.errors import UnavailableError
from keyturn.rotation.canaries import CANARIES_PER_CONTAINER, check_all, choose, per_container
from keyturn.runs.record_parts import CANARIES_MAX, Canary
from tests.keyturn.documents.harness import NAME, DocumentsHarness


async def checked(
    harness: DocumentsHarness, known: Sequence[Canary] = (), wanted: int = CANARIES_PER_CONTAINER
) -> list[Canary]:
    """Check the canaries of the container, as a reader without a cache."""
    return await check_all(
        harness.container, harness.documents.description, harness.source.encryption, list(known), wanted
    )


def outcomes(canaries: Sequence[Canary]) -> dict[str, str]:
    """Return what became of each."""
    return {canary.document_id: canary.outcome for canary in canaries}


async def test_they_are_real_documents_that_are_encrypted(harness: DocumentsHarness) -> None:
    """Nested fields and those of lists count; a plaintext document, a half encrypted one and an empty one are none."""
    await harness.add("whole", "other", side=harness.source)
    await harness.add("plain")
    [half] = await harness.add("half", side=harness.source)
    await harness.container.replace_item(half.id, {**await harness.stored("half"), "title": "plaintext"})
    await harness.container.create_item({"id": "empty", "parts": []})

    assert outcomes(await checked(harness)) == {"whole": "pass", "other": "pass"}


async def test_a_document_that_lacks_a_field_serves_where_there_is_no_better_one(harness: DocumentsHarness) -> None:
    """Documents may lack fields; those with more of them are taken first."""
    for name in ("no-title", "no-title-either"):
        document = await harness.source.encryption.encrypt_fields(
            NAME, name, {"id": name, "author": {"name": "D"}}, ["author/name"]
        )
        await harness.container.create_item(document)
    few = await choose(harness.container, harness.documents.description, 1)
    await harness.add("whole", side=harness.source)

    assert [name for name in await harness.stored(few[0].document_id) if name in ("author", "title")] == ["author"]
    assert [canary.document_id for canary in await choose(harness.container, harness.documents.description, 1)] == [
        "whole"
    ]


async def test_they_stay_the_same(harness: DocumentsHarness) -> None:
    """What was chosen is asked again, although there are other documents by then; one that is deleted is replaced."""
    await harness.add("a", "b", side=harness.source)
    first = await checked(harness, wanted=2)
    await harness.add("c", side=harness.source)
    again = await checked(harness, first, wanted=2)
    await harness.container.delete_item("a", partition_key="a")

    assert {"a": "pass", "b": "pass"} == outcomes(first) == outcomes(again)
    assert outcomes(await checked(harness, again, wanted=2)) == {"b": "pass", "c": "pass"}


async def test_one_that_no_reader_opens_fails_with_its_reason(harness: DocumentsHarness) -> None:
    """A version that is disabled, and a field that somebody has overwritten in plaintext."""
    await harness.add("a", "b", side=harness.source)
    known = await checked(harness)
    await harness.container.replace_item("b", {**await harness.stored("b"), "title": "plaintext"})
    overwritten = await checked(harness, known)
    await harness.source.mek.change(harness.source.version, enabled=False)
    disabled = await checked(harness, known)

    assert outcomes(overwritten) == {"a": "pass", "b": "fail"}
    assert outcomes(disabled) == {"a": "fail", "b": "fail"}
    assert disabled[0].detail.startswith("MekVersionDisabledError")


async def test_a_service_that_does_not_answer_is_no_verdict(harness: DocumentsHarness) -> None:
    """Neither the container nor the vault says anything about a document when it is away."""
    await harness.add("a", side=harness.source)
    known = await checked(harness)
    harness.source.mek.fault(operation="unwrap", kind="status", status=500, count=None)

    with pytest.raises(UnavailableError):
        await checked(harness, known)


@pytest.mark.parametrize(("containers", "each"), [(1, CANARIES_PER_CONTAINER), (50, CANARIES_MAX // 50)])
def test_the_record_can_hold_all_of_them(containers: int, each: int) -> None:
    """Of many containers each has fewer canaries, and none has no canary."""
    assert per_container(containers) == each >= 1
    assert containers * each <= CANARIES_MAX
