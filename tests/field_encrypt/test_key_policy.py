"""Key policies as data: bounds that are checked, scopes that have ids of their own."""

from datetime import timedelta
from typing import Any

import pytest
from azure.cosmos.partition_key import NonePartitionKeyValue

from field_encrypt import UNSTATED, KeyPolicy
from field_encrypt.errors import InvalidPlaceError, InvalidSettingError
from field_encrypt.key_policy import Scope
from field_encrypt.places import DocumentPlace


def scope(per: Any, container: str = "notes", partition_key: Any = "w-1", document_id: str = "note-1") -> Scope:
    """Return the scope of a document."""
    return Scope.of(KeyPolicy(per=per), DocumentPlace(container, document_id, partition_key))


@pytest.mark.parametrize(
    ("setting", "value"),
    [
        ("per", "tenant"),
        ("max_uses", 0),
        ("max_documents", -1),
        ("max_age", timedelta(0)),
        ("max_age", timedelta(seconds=59)),  # over before its first use, a DEK would be made without end
    ],
)
def test_impossible_bound_is_named(setting: str, value: Any) -> None:
    """A policy under which nothing could be encrypted is refused when it is made."""
    with pytest.raises(InvalidSettingError) as refused:
        KeyPolicy(**{setting: value})

    assert refused.value.setting == setting


def test_scopes_are_those_of_the_policy() -> None:
    """Documents share DEKs within a partition or a container, and with nothing outside of it."""
    in_partition = {
        scope("partition", partition_key=key) for key in ("w-1", "w-2", 1, "1", None, NonePartitionKeyValue)
    }

    assert len(in_partition) == 6
    assert scope("partition") == scope("partition", document_id="note-2") != scope("partition", container="archive")
    assert scope("container") == scope("container", partition_key=UNSTATED) != scope("container", container="archive")
    assert scope("document") == Scope(None)
    assert scope("partition").name != scope("container").name


def test_partition_must_be_stated_under_a_policy_per_partition() -> None:
    """Documents of different partitions never share a DEK by an omission."""
    with pytest.raises(InvalidPlaceError) as refused:
        scope("partition", partition_key=UNSTATED)

    assert refused.value.part == "partition key"


@pytest.mark.parametrize("per", ["document", "partition", "container"])
def test_scope_owns_its_own_deks_only(per: Any) -> None:
    """A DEK of another reach is left behind at the next save: a policy that changes takes hold."""
    ids = {
        "document": "8f14e45f-ceea-467f-a8c9-5b1f0e7d3a21",
        "partition": scope("partition").dek_id(3),
        "container": scope("container").dek_id(3),
        "another partition": scope("partition", partition_key="w-2").dek_id(3),
        "another container": scope("container", container="archive").dek_id(3),
    }

    assert {name for name, dek_id in ids.items() if scope(per).owns(dek_id)} == {per}


@pytest.mark.parametrize("per", ["document", "partition", "container"])
def test_misfits_are_fields_in_format_1_and_under_deks_of_another_reach(per: Any) -> None:
    """A deterministic field is under no policy, and a field may be malformed."""
    own = {"document": "a-random-id"}.get(per) or scope(per).dek_id(3)
    document = {
        "fits": {"enc": 2, "alg": "A256GCM-HKDF-SHA256", "dekId": own},
        "old": {"enc": 1, "alg": "A256GCM", "dekId": own},
        "moved": {"enc": 2, "dekId": scope("container", container="archive").dek_id(0)},
        "equal": {"enc": 2, "alg": "A256SIV-HKDF-SHA256", "dekId": f"deterministic.{'0' * 32}.0"},
        "malformed": {"enc": None, "dekId": None},
        "plain": "text",
    }

    misfits = KeyPolicy(per=per).misfits(DocumentPlace("notes", "note-1", "w-1"), document)

    assert misfits == ["old", "moved", "malformed"]


def test_rows_grow_with_the_policy() -> None:
    """A million documents: as many rows, or one for each partition and each time that the bound is reached."""
    policies = [
        KeyPolicy(),
        KeyPolicy(per="partition"),
        KeyPolicy(per="container"),
        KeyPolicy(per="container", max_documents=None),
    ]

    assert [policy.rows_of(1_000_000, 100) for policy in policies] == [1_000_000, 200, 101, 1]
    assert KeyPolicy(per="container").rows_of(0, 0) == 0
