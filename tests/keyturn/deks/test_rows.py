"""Rows told apart by what a rotation has to do with them."""

from datetime import UTC, datetime
from typing import Any

import pytest

from field_encrypt.row_states import QuarantineReason, Row, RowKind, before_rewrap, classify, kid_prefix
from tests.keyturn.local_keyring import OLD, TARGET, encoded, keyring_of, plain_row

KEYRING = keyring_of()
OUR_KEY = "https://notes.vault.azure.net/keys/notelett-mek"


def row_of(**properties: Any) -> Row:
    """Classify a row with these properties."""
    return classify({**plain_row(**properties), "_etag": '"1"', "_ts": 1_790_000_000}, KEYRING, TARGET)


CASES: dict[str, tuple[dict[str, Any], RowKind, bool, str | None]] = {
    "wrapped by the target": ({"mekVersion": TARGET}, RowKind.CURRENT, True, TARGET),
    "wrapped by the target, whole key id": (
        {"mekVersion": f"{OUR_KEY}/{TARGET}"},
        RowKind.CURRENT,
        True,
        TARGET,
    ),
    "wrapped by an older version": ({}, RowKind.STALE, False, OLD),
    "wrapped by an older version, whole key id": (
        {"mekVersion": f"{OUR_KEY}/{OLD}"},
        RowKind.STALE,
        False,
        OLD,
    ),
    "our key id in other case": (
        {"mekVersion": f"HTTPS://Notes.Vault.Azure.net/keys/NoteLett-MEK/{OLD}"},
        RowKind.STALE,
        False,
        OLD,
    ),
    "our key name in other case": ({"mekName": "NoteLett-MEK"}, RowKind.STALE, False, OLD),
    "older writer without name and algorithm": (
        {"mekName": ..., "algorithm": ...},
        RowKind.STALE,
        False,
        OLD,
    ),
    "no label": ({"mekVersion": ...}, RowKind.UNLABELLED, False, None),
    "label null": ({"mekVersion": None}, RowKind.UNLABELLED, False, None),
    "another key": ({"mekName": "other-mek"}, RowKind.FOREIGN, False, OLD),
    "another key, said to be on the target": (
        {"mekName": "other-mek", "mekVersion": TARGET},
        RowKind.FOREIGN,
        False,
        TARGET,
    ),
    "another key, malformed besides": (
        {"mekName": "other-mek", "wrappedDek": 7},
        RowKind.FOREIGN,
        False,
        OLD,
    ),
    "key id of another vault": (
        {"mekVersion": f"https://other.vault.azure.net/keys/notelett-mek/{TARGET}"},
        RowKind.FOREIGN,
        False,
        None,
    ),
    "key id of a key whose name starts like ours": (
        {"mekVersion": f"{OUR_KEY}2/{OLD}"},
        RowKind.FOREIGN,
        False,
        None,
    ),
}


@pytest.mark.parametrize("case", CASES)
def test_kind_of_a_row(case: str) -> None:
    """Each row is of the kind, on the target or not, and under the version that the table says."""
    properties, kind, on_target, version = CASES[case]

    row = row_of(**properties)

    assert (row.kind, row.on_target, row.version, row.reason) == (kind, on_target, version, None)


MALFORMED: dict[str, tuple[dict[str, Any], QuarantineReason]] = {
    "no wrap": ({"wrappedDek": ...}, QuarantineReason.MALFORMED_WRAP),
    "empty wrap": ({"wrappedDek": ""}, QuarantineReason.MALFORMED_WRAP),
    "wrap is no base64": ({"wrappedDek": "not base64!"}, QuarantineReason.MALFORMED_WRAP),
    "wrap is a number": ({"wrappedDek": 12}, QuarantineReason.MALFORMED_WRAP),
    "label is a number": ({"mekVersion": 3}, QuarantineReason.MALFORMED_LABEL),
    "label is empty": ({"mekVersion": ""}, QuarantineReason.MALFORMED_LABEL),
    "label would reach another path": ({"mekVersion": "../other/1"}, QuarantineReason.MALFORMED_LABEL),
    "label is our key without a version": ({"mekVersion": OUR_KEY}, QuarantineReason.MALFORMED_LABEL),
    "label is our key with an empty version": ({"mekVersion": f"{OUR_KEY}/"}, QuarantineReason.MALFORMED_LABEL),
    "name is a list": ({"mekName": ["notelett-mek"]}, QuarantineReason.MALFORMED_MEK_NAME),
    "name is empty": ({"mekName": ""}, QuarantineReason.MALFORMED_MEK_NAME),
    "algorithm is unknown": ({"algorithm": "RSA1_5"}, QuarantineReason.UNKNOWN_ALGORITHM),
    "algorithm is a number": ({"algorithm": 256}, QuarantineReason.UNKNOWN_ALGORITHM),
    "key check is too short": ({"keyCheck": encoded(bytes(15))}, QuarantineReason.MALFORMED_KEY_CHECK),
}


@pytest.mark.parametrize("case", MALFORMED)
@pytest.mark.parametrize("label", [OLD, TARGET])
def test_malformed_row(case: str, label: str) -> None:
    """A malformed row is named with its reason, needs work, and is counted by what its label says."""
    properties, reason = MALFORMED[case]

    row = row_of(**{"mekVersion": label, **properties})

    assert (row.kind, row.reason, row.needs_work) == (RowKind.MALFORMED, reason, True)
    assert (label == TARGET and "mekVersion" not in properties) == row.on_target


def test_settings_stand_in_for_what_older_writers_left_out() -> None:
    """A row without an algorithm takes the keyring's; one with an algorithm keeps its own."""
    keyring = keyring_of(defaultAlgorithm="RSA-OAEP")

    read = [
        classify({**plain_row(algorithm=algorithm), "_etag": "", "_ts": 1}, keyring, TARGET).algorithm
        for algorithm in (..., "RSA-OAEP-256")
    ]

    assert read == ["RSA-OAEP", "RSA-OAEP-256"]


def test_properties_may_have_other_names() -> None:
    """A store that grew up with other names is read by its keyring's names."""
    keyring = keyring_of(rowNames={"mekVersion": "kekVersion", "wrappedDek": "blob", "partitionKey": "tenant"})
    item = {"id": "1", "tenant": 7, "kekVersion": OLD, "blob": "AAAA", "_etag": "", "_ts": 1}

    row = classify(item, keyring, TARGET)

    assert (RowKind.STALE, OLD, 7, bytes(3)) == (row.kind, row.version, row.partition, row.wrapped)


@pytest.mark.parametrize(
    ("created_at", "expected"),
    [
        ("2026-11-01T10:00:00.000Z", datetime(2026, 11, 1, 10, tzinfo=UTC)),
        ("2026-11-01T10:00:00", datetime(2026, 11, 1, 10, tzinfo=UTC)),
        ("yesterday", None),
        (17, None),
        (..., None),
    ],
)
def test_when_a_row_was_created(created_at: Any, expected: datetime | None) -> None:
    """A row says when it was created, or it does not; when it was changed, the service says."""
    row = row_of(createdAt=created_at)

    assert row.created_at == expected
    assert datetime.fromtimestamp(1_790_000_000, UTC) == row.changed_at


def test_what_a_rewrapped_row_was_before() -> None:
    """The previous wrap makes the row that it was, for whoever wants to open it; most rows have none."""
    row = row_of(mekVersion=TARGET, previousWrap={"mekVersion": OLD, "wrappedDek": "AAAA", "algorithm": "RSA-OAEP"})

    before = before_rewrap(row, KEYRING, TARGET)

    assert before is not None
    assert (before.kind, before.version, before.algorithm) == (RowKind.STALE, OLD, "RSA-OAEP")
    assert bytes(3) == before.wrapped
    assert before_rewrap(row_of(mekVersion=TARGET), KEYRING, TARGET) is None


def test_a_row_shows_no_key_material() -> None:
    """Neither the wrapped DEK nor the key check is in a row's representation, raw or encoded."""
    wrap, check = bytes(range(200, 240)), bytes(range(100, 116))

    shown = repr(row_of(wrappedDek=encoded(wrap), keyCheck=encoded(check)))

    for secret in (wrap, check):
        assert encoded(secret) not in shown
        assert repr(secret)[2:-1] not in shown


def test_the_prefix_of_key_ids_has_one_slash_where_the_vaults_url_ends_with_one() -> None:
    """Key Vault's key ids have one, however the setting spells the vault."""
    expected = "https://notes.vault.azure.net/keys/notelett-mek/"

    assert {kid_prefix(keyring_of(vault_url=f"https://notes.vault.azure.net{end}")) for end in ("", "/")} == {expected}
