"""What the settings say that a container's writers bind, every page binds too; deterministic fields stay so."""

from typing import Any

import pytest
from azure.cosmos.aio import CosmosClient

from field_encrypt.errors import TamperedFieldError
from keyturn.contracts.pages import RowRef
from keyturn.documents.operations import check_page, encrypt_page, reencrypt_page
from keyturn.documents.store import NewDeks, under_other_deks
from keyturn.settings import DocumentContainer
from tests.field_encrypt.local_cosmos import new_container
from tests.keyturn.documents.harness import NAME, DocumentsHarness, Side, own, page_of

PERSON: dict[str, Any] = {"id": "p", "tenant": "t", "email": "dana@example.org", "name": "Dana"}
PAGE = page_of([RowRef(id="p", partition="t")])


@pytest.fixture
async def people(documents_harness: DocumentsHarness, cosmos_client: CosmosClient) -> DocumentsHarness:
    """A container partitioned by tenant, whose writers bind a context, with a deterministic field."""
    documents_harness.container = await new_container(cosmos_client, "people", "/tenant")
    documents_harness.description = DocumentContainer(
        name=NAME,
        fields=["email", "name"],
        partition_key="tenant",
        context={"app": "people"},
        deterministic=["email"],
    )
    return documents_harness


async def add(people: DocumentsHarness, side: Side | None = None, **changes: Any) -> dict[str, Any]:
    """Store the person, encrypted by a side or in plaintext, and return the document as it is stored."""
    document = {**PERSON, **changes}
    if side is not None:
        document = await side.encryption.encrypt_fields(
            NAME,
            "p",
            document,
            ["email", "name"],
            partition_key="t",
            context={"app": "people"},
            deterministic=["email"],
        )
    return dict(await people.container.create_item(document))


async def stored(people: DocumentsHarness) -> dict[str, Any]:
    """Return the person as it is stored."""
    return own(await people.container.read_item("p", partition_key="t"))


async def read(side: Side, document: dict[str, Any], **place: Any) -> dict[str, Any]:
    """Read as the container's readers do, but for what is given."""
    bound = {"partition_key": "t", "context": {"app": "people"}, **place}
    return await side.encryption.decrypt_fields(NAME, "p", document, None, **bound)


async def test_encryption_binds_partition_key_and_context(people: DocumentsHarness) -> None:
    """Readers that state both read it; with another of either it does not open."""
    await add(people)

    await encrypt_page(PAGE, people.ids, people.dependencies())

    document = await stored(people)
    assert document["email"]["alg"] == "A256SIV-HKDF-SHA256"
    assert await read(people.source, document) == PERSON
    for wrong in ({"partition_key": "another"}, {"context": {"app": "another"}}, {"context": None}):
        with pytest.raises(TamperedFieldError):
            await read(people.source, document, **wrong)


async def test_reencryption_and_check_read_what_writers_bind(people: DocumentsHarness) -> None:
    """A document that moves to another key is bound as before, and a check opens it."""
    await add(people, people.source)

    moved = await reencrypt_page(PAGE, people.ids, people.dependencies(people.target))
    people.source = people.target
    checked = await check_page(PAGE, people.dependencies())

    assert (moved.changed, checked.changed, people.quarantined) == (1, 1, {})
    assert await read(people.target, await stored(people)) == PERSON


@pytest.mark.parametrize("other_key", [False, True])
async def test_reencryption_of_deterministic_fields_ends(people: DocumentsHarness, *, other_key: bool) -> None:
    """They stay under the one DEK of their path, and move only with the key; a second page changes nothing."""
    before = await add(people, people.source)
    to = people.target if other_key else people.source
    again = [await reencrypt_page(PAGE, people.ids, people.dependencies(to)) for _ in range(2)]

    after = await stored(people)
    assert [result.changed for result in again] == [1, 0]
    assert (after["email"] != before["email"], after["name"]["dekId"] == before["name"]["dekId"]) == (other_key, False)
    assert await read(to, after) == PERSON
    assert not under_other_deks(NewDeks(people.documents, people.ids, None, one_key=True))(after)


async def test_a_deterministic_field_alone_moves_with_the_key(people: DocumentsHarness) -> None:
    """Its dekId is the same in every store: only the key tells where it is."""
    await people.container.create_item({**await people_email_only(people), "id": "p", "tenant": "t"})

    first, second = [await reencrypt_page(PAGE, people.ids, people.dependencies(people.target)) for _ in range(2)]

    assert (first.changed, second.changed) == (1, 0)
    assert (await read(people.target, await stored(people)))["email"] == PERSON["email"]


async def people_email_only(people: DocumentsHarness) -> dict[str, Any]:
    """Return a document with the deterministic field alone."""
    return await people.source.encryption.encrypt_fields(
        NAME,
        "p",
        {"email": PERSON["email"]},
        ["email"],
        partition_key="t",
        context={"app": "people"},
        deterministic=["email"],
    )


async def test_a_copy_in_another_partition_is_named(people: DocumentsHarness) -> None:
    """The check does not open another tenant's document, and a re-encryption does not bind it to the wrong place."""
    document = await add(people, people.source)
    await people.container.create_item({**own(document), "tenant": "thief"})
    page = page_of([RowRef(id="p", partition="thief")])

    checked = await check_page(page, people.dependencies())
    moved = await reencrypt_page(page, people.ids, people.dependencies())

    assert (checked.quarantined, moved.quarantined, people.quarantined) == (1, 1, {"notes/p": "tampered_field"})


async def test_writers_that_state_no_partition_key_are_read_as_they_write(people: DocumentsHarness) -> None:
    """Where the settings say so; else their documents are named."""
    unbound = people.description.model_copy(update={"binds_partition_key": False})
    plain = {"id": "p", "tenant": "t", "name": "Dana"}
    document = await people.source.encryption.encrypt_fields(NAME, "p", plain, ["name"], context={"app": "people"})
    await people.container.create_item(document)

    named = await check_page(PAGE, people.dependencies())
    people.description = unbound
    read_as_written = await check_page(PAGE, people.dependencies())

    assert (named.quarantined, read_as_written.changed) == (1, 1)


async def test_a_partition_key_that_nothing_can_be_bound_to_is_named(people: DocumentsHarness) -> None:
    """The document is at fault, and the page goes on."""
    people.description = people.description.model_copy(update={"partition_key": "address"})
    await add(people, address={"city": "Kiel"})

    result = await encrypt_page(PAGE, people.ids, people.dependencies())

    assert (result.quarantined, people.quarantined) == (1, {"notes/p": "unbound_place"})
