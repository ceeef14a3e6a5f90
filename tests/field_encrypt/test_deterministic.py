"""Deterministic fields: equal where their values are equal, found by a query, and bound to their container and path."""

import asyncio
from typing import Any
from uuid import UUID

import pytest
from azure.cosmos.aio import CosmosClient

from field_encrypt import (
    DekCache,
    EncryptedContainer,
    FieldEncryption,
    FieldPolicy,
    KeyPolicy,
    KeyVaultProvider,
)
from field_encrypt.dek import Dek
from field_encrypt.derivation import derive, for_equality, for_one_use
from field_encrypt.errors import InvalidFieldPathError, InvalidSettingError, TamperedFieldError
from field_encrypt.places import FieldPlace
from tests.field_encrypt.local_cosmos import new_container
from tests.field_encrypt.local_keyring import LocalKeyring

Person = dict[str, Any]


class PersonContainer:
    """A container of people, on a key and dek store."""

    def __init__(self, local_keyring: LocalKeyring, container: Any) -> None:
        self.local_keyring, self.raw = local_keyring, container
        self.policy = FieldPolicy(
            container.id, ["email", "name"], ["ids/passport"], deterministic=["email", "ids/passport"]
        )

    def encrypted(self, *, context: Person | None = None, policy: KeyPolicy | None = None) -> EncryptedContainer:
        """Return the container as one more process has it."""
        provider = KeyVaultProvider(self.local_keyring.mek.client)
        encryption = FieldEncryption(provider, self.local_keyring.store, DekCache(), policy=policy or KeyPolicy())
        return EncryptedContainer(self.raw, encryption, self.policy, context=context)

    async def stored(self, item: str) -> Person:
        """Return a document as it is stored."""
        found: Person = await self.raw.read_item(item, partition_key=item)
        return found


def person(number: int, email: str = "dana@example.org", **more: Any) -> Person:
    """Return a person."""
    return {"id": f"p-{number}", "email": email, "name": "Dana", **more}


@pytest.fixture
async def persons(local_keyring: LocalKeyring, cosmos_client: CosmosClient) -> PersonContainer:
    """An empty container."""
    return PersonContainer(local_keyring, await new_container(cosmos_client, "people"))


async def found(container: EncryptedContainer, text: str, parameters: list[dict[str, object]]) -> set[object]:
    """Return the ids of the people that a condition finds."""
    query = f"SELECT * FROM c WHERE {text}"  # noqa: S608 - the library's condition; its value is a parameter
    return {one["id"] async for one in container.query_items(query, parameters=parameters)}


async def test_equal_values_are_equal_in_store_and_nothing_else_is(persons: PersonContainer) -> None:
    """Across documents and processes: the deterministic field is equal, and the other one never is."""
    await persons.encrypted().create_item(person(1))
    await persons.encrypted().create_item(person(2))
    await persons.encrypted().create_item(person(3, "ben@example.org"))
    first, second, third = [await persons.stored(f"p-{number}") for number in (1, 2, 3)]

    assert first["email"] == second["email"]
    assert first["email"]["dekId"] == third["email"]["dekId"] != first["name"]["dekId"]
    assert first["email"]["ct"] != third["email"]["ct"]
    assert first["name"]["ct"] != second["name"]["ct"]
    assert (await persons.encrypted().read_item("p-2", "p-2"))["email"] == "dana@example.org"


@pytest.mark.usefixtures("mixed_types")
async def test_query_finds_what_is_equal(persons: PersonContainer) -> None:
    """The compared value is encrypted before it leaves; several conditions stand in one query, of any codec's type."""
    container = persons.encrypted()
    await container.create_item(person(1, ids={"passport": UUID(int=1)}))
    await container.create_item(person(2, ids={"passport": UUID(int=2)}))
    await container.create_item(person(3, "ben@example.org"))

    email = await persons.encrypted().equals("email", "dana@example.org")
    passport = await persons.encrypted().equals("ids/passport", UUID(int=2), number=1)
    no_match = await persons.encrypted().equals("email", "none@example.org")

    assert await found(container, email.text, email.parameters) == {"p-1", "p-2"}
    both = [*email.parameters, *passport.parameters]
    assert await found(container, f"{email.text} AND {passport.text}", both) == {"p-2"}
    assert await found(container, no_match.text, no_match.parameters) == set()
    assert "dana" not in str(email)


@pytest.mark.usefixtures("mixed_types")
async def test_query_before_the_first_document_finds_nothing_and_makes_nothing(persons: PersonContainer) -> None:
    """A reader needs no right to create rows."""
    condition = await persons.encrypted().equals("email", "dana@example.org")

    assert await found(persons.encrypted(), condition.text, condition.parameters) == set()
    assert await persons.local_keyring.dek_ids() == set()


async def test_processes_that_begin_at_once_agree(persons: PersonContainer) -> None:
    """One DEK a deterministic field, however many first need it at the same moment."""
    await asyncio.gather(*(persons.encrypted().create_item(person(number)) for number in range(6)))

    assert len({(await persons.stored(f"p-{number}"))["email"]["ct"] for number in range(6)}) == 1
    assert len(await persons.local_keyring.dek_ids()) == 1 + 6


async def test_equality_survives_a_rotation(persons: PersonContainer) -> None:
    """The row of a deterministic field is rewrapped like any other, and never replaced by a key policy."""
    policy = KeyPolicy(per="container", max_documents=1, max_uses=2)
    await persons.encrypted(policy=policy).create_item(person(1))
    dek_id = (await persons.stored("p-1"))["email"]["dekId"]
    await persons.local_keyring.rewrap(dek_id, await persons.local_keyring.mek.create())
    await persons.encrypted(policy=policy).create_item(person(2))

    condition = await persons.encrypted().equals("email", "dana@example.org")
    assert await found(persons.encrypted(), condition.text, condition.parameters) == {"p-1", "p-2"}


async def test_field_is_bound_to_container_path_and_context(persons: PersonContainer) -> None:
    """Another path or context has other ciphertexts; a copy into another document opens, as the policy warns."""
    await persons.encrypted(context={"tenant": "t-1"}).create_item(person(1, ids={"passport": "dana@example.org"}))
    stored = await persons.stored("p-1")
    other = await persons.encrypted(context={"tenant": "t-2"}).equals("email", "dana@example.org")

    assert stored["email"]["ct"] != stored["ids"]["passport"]["ct"]
    assert await found(persons.encrypted(context={"tenant": "t-1"}), other.text, other.parameters) == set()
    await persons.raw.upsert_item({**stored, "email": stored["ids"]["passport"]})
    with pytest.raises(TamperedFieldError):
        await persons.encrypted(context={"tenant": "t-1"}).read_item("p-1", "p-1")


async def test_save_and_patch_keep_a_field_deterministic(persons: PersonContainer) -> None:
    """However it is written; and a document's own DEK is never mistaken for the field's."""
    container = persons.encrypted()
    await container.create_item(person(1))
    before = await persons.stored("p-1")
    await container.replace_item("p-1", person(1, "ben@example.org"))
    await container.patch_item("p-1", "p-1", [{"op": "set", "path": "/email", "value": "dana@example.org"}])
    after = await persons.stored("p-1")

    assert before["email"] == after["email"]
    assert before["name"]["dekId"] == after["name"]["dekId"]
    assert len(await persons.local_keyring.dek_ids()) == 2


async def test_reencryption_leaves_it_or_moves_it_once(persons: PersonContainer, cosmos_client: CosmosClient) -> None:
    """Within a store equality holds across a migration; into another one it is sealed anew, under one DEK there."""
    container = persons.encrypted()
    await container.create_item(person(1))
    await container.create_item(person(2))
    old = [await persons.stored(f"p-{number}") for number in (1, 2)]
    other = await LocalKeyring.create(persons.local_keyring.mek, cosmos_client)

    async def moved(into: LocalKeyring, document: Person, **options: Any) -> Person:
        place = (persons.raw.id, document["id"], document, ["email", "name"])
        return await into.encryption.reencrypt_fields(*place, partition_key=document["id"], **options)

    within = await moved(persons.local_keyring, old[0])
    away = [await moved(other, document, source=persons.local_keyring.encryption) for document in old]
    again = await moved(other, away[0], source=persons.local_keyring.encryption, dek_id=away[0]["name"]["dekId"])

    assert within["email"] == old[0]["email"]
    assert within["name"]["dekId"] != old[0]["name"]["dekId"]
    assert away[0]["email"] == away[1]["email"] == again["email"]
    assert away[0]["email"]["ct"] != old[0]["email"]["ct"]
    read = await other.reader().decrypt_fields(persons.raw.id, "p-1", away[0], None, partition_key="p-1")
    assert read["email"] == "dana@example.org"


def test_no_use_of_a_dek_shares_a_key_with_another() -> None:
    """The same DEK, place and salt give another key for another use, and another commitment."""
    dek, place = Dek(bytes(32)), FieldPlace(container="c", document_id="d", field_path="f")
    data = place.deterministic_data("dek-1")
    equal = for_equality(dek, data)
    randomized = derive(dek, salt=bytes(32), label=b"field-encrypt/2/A256GCM-HKDF-SHA256", additional_data=data)

    assert (len(equal.key), len(randomized.key)) == (64, 32)
    assert randomized.key not in (equal.key[:32], equal.key[32:])
    assert randomized.commitment not in (equal.commitment, equal.key[32:], equal.key[:32])
    assert equal == for_equality(dek, data) != for_one_use(dek, data)[2]


@pytest.mark.parametrize("pattern", ["phone", "parts/*/text", "parts/0"])
def test_field_that_cannot_be_compared_is_refused(pattern: str) -> None:
    """A deterministic field is one of the policy's, and never an element of a list."""
    fields = ["email", "parts/*/text", "parts/0"]

    with pytest.raises(InvalidSettingError) as refused:
        FieldPolicy("people", fields, deterministic=[pattern])

    assert refused.value.setting == "deterministic"


async def test_documents_that_are_loaded_many_at_a_time_are_found(persons: PersonContainer) -> None:
    """A bulk load makes the fields that queries compare, as single saves do."""
    people = [person(number) for number in range(3)]
    encryption, name = persons.encrypted()._encryption, persons.raw.id
    stored = await encryption.encrypt_documents(
        name, people, ["email", "name"], partition_key_paths=["/id"], deterministic=["email"]
    )
    for document in stored:
        await persons.raw.create_item(document)

    condition = await persons.encrypted().equals("email", "dana@example.org")
    assert await found(persons.encrypted(), condition.text, condition.parameters) == {"p-0", "p-1", "p-2"}


async def test_one_text_is_no_list_of_fields(local_keyring: LocalKeyring) -> None:
    """Of a text, every part would be a field that gives its equality away."""
    person_1 = {"id": "p-1", "mail": "dana@example.org"}

    with pytest.raises(InvalidFieldPathError, match="list of paths"):
        await local_keyring.encryption.encrypt_fields("people", "p-1", person_1, ["mail"], deterministic="email")
    with pytest.raises(InvalidFieldPathError, match="list of paths"):
        await local_keyring.encryption.encrypt_values("people", "p-1", {"mail": "d"}, deterministic="email")


async def test_field_that_is_not_deterministic_is_not_compared(persons: PersonContainer) -> None:
    """A query that could find nothing is refused, and not silently empty."""
    with pytest.raises(InvalidFieldPathError, match="name"):
        await persons.encrypted().equals("name", "Dana")
