"""Canaries: real documents of each container, the same throughout, and a failure only where a reader would fail too."""

from collections.abc import Sequence

import pytest
from azure.cosmos.aio import CosmosClient

from keyturn.errors import UnavailableError
from keyturn.rotation.canaries import CANARIES_PER_CONTAINER, check_all, choose, per_container
from keyturn.runs.record_parts import CANARIES_MAX, Canary
from keyturn.settings import DocumentContainer
from tests.field_encrypt.local_cosmos import new_container
from tests.keyturn.documents.harness import NAME, DocumentsHarness

pytestmark = pytest.mark.usefixtures("mixed_types")


async def checked(
    documents_harness: DocumentsHarness, known: Sequence[Canary] = (), wanted: int = CANARIES_PER_CONTAINER
) -> list[Canary]:
    """Check the canaries of the container, as a reader without a cache."""
    return await check_all(
        documents_harness.container,
        documents_harness.documents.description,
        documents_harness.source.encryption,
        list(known),
        wanted,
    )


def outcomes(canaries: Sequence[Canary]) -> dict[str, str]:
    """Return what became of each."""
    return {canary.document_id: canary.outcome for canary in canaries}


async def test_they_are_real_documents_that_are_encrypted(documents_harness: DocumentsHarness) -> None:
    """Nested fields and those of lists count; a plaintext document, a half encrypted one and an empty one are none."""
    await documents_harness.add("whole", "other", side=documents_harness.source)
    await documents_harness.add("plain")
    [half] = await documents_harness.add("half", side=documents_harness.source)
    await documents_harness.container.replace_item(
        half.id, {**await documents_harness.stored("half"), "title": "plaintext"}
    )
    await documents_harness.container.create_item({"id": "empty", "parts": []})

    assert outcomes(await checked(documents_harness)) == {"whole": "pass", "other": "pass"}


async def test_a_document_that_lacks_a_field_serves_where_there_is_no_better_one(
    documents_harness: DocumentsHarness,
) -> None:
    """Documents may lack fields; those with more of them are taken first."""
    for name in ("no-title", "no-title-either"):
        document = await documents_harness.source.encryption.encrypt_fields(
            NAME, name, {"id": name, "author": {"name": "D"}}, ["author/name"], partition_key=name
        )
        await documents_harness.container.create_item(document)
    few = await choose(documents_harness.container, documents_harness.documents.description, 1)
    await documents_harness.add("whole", side=documents_harness.source)

    assert [name for name in await documents_harness.stored(few[0].document_id) if name in ("author", "title")] == [
        "author"
    ]
    assert [
        canary.document_id
        for canary in await choose(documents_harness.container, documents_harness.documents.description, 1)
    ] == ["whole"]


async def test_they_stay_the_same(documents_harness: DocumentsHarness) -> None:
    """What was chosen is asked again, although there are other documents by then; one that is deleted is replaced."""
    await documents_harness.add("a", "b", side=documents_harness.source)
    first = await checked(documents_harness, wanted=2)
    await documents_harness.add("c", side=documents_harness.source)
    again = await checked(documents_harness, first, wanted=2)
    await documents_harness.container.delete_item("a", partition_key="a")

    assert {"a": "pass", "b": "pass"} == outcomes(first) == outcomes(again)
    assert outcomes(await checked(documents_harness, again, wanted=2)) == {"b": "pass", "c": "pass"}


async def test_one_that_no_reader_opens_fails_with_its_reason(documents_harness: DocumentsHarness) -> None:
    """A version that is disabled, and a field that somebody has overwritten in plaintext."""
    await documents_harness.add("a", "b", side=documents_harness.source)
    known = await checked(documents_harness)
    await documents_harness.container.replace_item("b", {**await documents_harness.stored("b"), "title": "plaintext"})
    overwritten = await checked(documents_harness, known)
    await documents_harness.source.mek.change(documents_harness.source.version, enabled=False)
    disabled = await checked(documents_harness, known)

    assert outcomes(overwritten) == {"a": "pass", "b": "fail"}
    assert outcomes(disabled) == {"a": "fail", "b": "fail"}
    assert disabled[0].detail.startswith("MekVersionDisabledError")


async def test_a_copy_in_another_partition_fails(
    documents_harness: DocumentsHarness, cosmos_client: CosmosClient
) -> None:
    """A canary is read in its own place, as a reader that states the partition key does."""
    documents_harness.container = await new_container(cosmos_client, "notes", "/tenant")
    documents_harness.description = DocumentContainer(name=NAME, fields=["title"], partition_key="tenant")
    encryption, plain = documents_harness.source.encryption, {"id": "a", "tenant": "t", "title": "t"}
    document = await encryption.encrypt_fields(NAME, "a", plain, ["title"], partition_key="t")
    await documents_harness.container.create_item(document)
    known = await checked(documents_harness)
    await documents_harness.container.create_item({**document, "tenant": "thief"})

    stolen = await checked(documents_harness, [known[0].model_copy(update={"partition": "thief"})], wanted=1)

    assert (outcomes(known), outcomes(stolen)) == ({"a": "pass"}, {"a": "fail"})
    assert stolen[0].detail.startswith("TamperedFieldError")


async def test_a_service_that_does_not_answer_is_no_verdict(documents_harness: DocumentsHarness) -> None:
    """Neither the container nor the vault says anything about a document when it is away."""
    await documents_harness.add("a", side=documents_harness.source)
    known = await checked(documents_harness)
    documents_harness.source.mek.fault(operation="unwrap", kind="status", status=500, count=None)

    with pytest.raises(UnavailableError):
        await checked(documents_harness, known)


@pytest.mark.parametrize(("containers", "each"), [(1, CANARIES_PER_CONTAINER), (50, CANARIES_MAX // 50)])
def test_the_record_can_hold_all_of_them(containers: int, each: int) -> None:
    """Of many containers each has fewer canaries, and none has no canary."""
    assert per_container(containers) == each >= 1
    assert containers * each <= CANARIES_MAX
