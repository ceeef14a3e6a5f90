"""One DEK: what is told of row, version, unwrap and key check, and every way in which a row is harmed."""

import base64
from collections.abc import Mapping
from typing import Any

import pytest

from field_encrypt.encoding import to_base64
from keyturn.diagnosis.dek import diagnose_dek
from keyturn.diagnosis.models import Verdict, filled
from keyturn.errors import PermissionMissingError, UnavailableError
from local.identity.roles import ROLES
from tests.field_encrypt.local_vault import Mek
from tests.keyturn.diagnosis.damaged_documents import DamagedDocuments, flipped, rewrapped
from tests.keyturn.local_keyring import ROTATION, encoded

pytestmark = pytest.mark.usefixtures("mixed_types")


async def test_a_sound_dek_is_described_whole(damaged: DamagedDocuments) -> None:
    """The row, the version and its state, the unwrap and the key check are told; nothing is to be done."""
    document = await damaged.add()
    row = await damaged.row(document)

    found = await damaged.diagnose_dek(document)

    assert (found.verdict, found.next_step) == (Verdict.SOUND, "nothing is to be done")
    assert (found.unwraps, found.key_check, found.previous_wrap) == (True, "holds", None)
    assert found.row is not None
    assert found.version is not None
    assert (row["mekVersion"], "RSA-OAEP-256") == (found.row.version_label, found.row.algorithm)
    assert (row["mekVersion"], "enabled") == (found.version.version, found.version.state)


async def test_nothing_in_a_diagnosis_opens_anything(damaged: DamagedDocuments) -> None:
    """Neither the wraps nor the key check nor the DEK is in the answer."""
    document = await damaged.add()
    await rewrapped(damaged, document)
    row = await damaged.row(document)
    dek = await damaged.local_keyring.mek.client.unwrap(
        base64.b64decode(row["wrappedDek"]), row["mekVersion"], row["algorithm"]
    )

    answer = (await damaged.diagnose_dek(document)).model_dump_json(by_alias=True)

    for secret in (row["wrappedDek"], row["previousWrap"]["wrappedDek"], row["keyCheck"], to_base64(dek), dek.hex()):
        assert secret not in answer


HARMS: Mapping[str, tuple[dict[str, Any], Verdict]] = {
    "no key check": ({"keyCheck": ...}, Verdict.NO_KEY_CHECK),
    "no label": ({"mekVersion": ...}, Verdict.NO_VERSION_LABEL),
    "another key check": ({"keyCheck": encoded(bytes(16))}, Verdict.KEY_CHECK_DIFFERS),
    "a wrap that is no base64": ({"wrappedDek": "?"}, Verdict.ROW_MALFORMED),
    "no wrap": ({"wrappedDek": ...}, Verdict.ROW_MALFORMED),
    "a key check that is too short": ({"keyCheck": "AAAA"}, Verdict.ROW_MALFORMED),
    "an algorithm that wraps no DEKs": ({"algorithm": "RSA1_5"}, Verdict.ROW_MALFORMED),
    "another algorithm": ({"algorithm": "RSA-OAEP"}, Verdict.WRAP_REFUSED),
    "a label that is no version": ({"mekVersion": "not a version!"}, Verdict.ROW_MALFORMED),
    "a version that does not exist": ({"mekVersion": "0" * 32}, Verdict.VERSION_MISSING),
    "another key": ({"mekName": "another-mek"}, Verdict.ROW_FOREIGN),
    "another vault": ({"mekVersion": f"https://other.vault.azure.net/keys/k/{'0' * 32}"}, Verdict.ROW_FOREIGN),
}


@pytest.mark.parametrize("harm", HARMS)
async def test_a_changed_property_of_a_row_is_named(damaged: DamagedDocuments, harm: str) -> None:
    """Each property that was changed or lost has its verdict, with one sentence on what to do."""
    change, verdict = HARMS[harm]
    document = await damaged.add()
    await damaged.change_row(document, **change)

    found = await damaged.diagnose_dek(document)

    assert found.verdict == verdict
    assert filled(verdict.next_step, found.keyring) == found.next_step
    assert found.finding


@pytest.mark.parametrize("position", [0, 1, 170, 341])
async def test_a_changed_byte_of_a_wrap_is_named(damaged: DamagedDocuments, position: int) -> None:
    """A wrap of 256 bytes (RSA-2048) with another byte does not open."""
    document = await damaged.add()
    row = await damaged.row(document)
    await damaged.change_row(document, wrappedDek=flipped(row["wrappedDek"], position))

    found = await damaged.diagnose_dek(document)

    assert found.verdict in (Verdict.WRAP_REFUSED, Verdict.ROW_MALFORMED)
    assert not found.unwraps


@pytest.mark.parametrize("position", range(0, 22, 3))
async def test_a_changed_byte_of_a_key_check_is_named(damaged: DamagedDocuments, position: int) -> None:
    """The key check of another DEK is not taken for the row's."""
    document = await damaged.add()
    row = await damaged.row(document)
    await damaged.change_row(document, keyCheck=flipped(row["keyCheck"], position))

    found = await damaged.diagnose_dek(document)

    assert found.verdict in (Verdict.KEY_CHECK_DIFFERS, Verdict.ROW_MALFORMED)


async def test_a_row_that_is_gone_is_named(damaged: DamagedDocuments) -> None:
    """So is an id that nothing can have."""
    document = await damaged.add()
    dek_id = document["title"]["dekId"]
    await damaged.local_keyring.container.delete_item(dek_id, partition_key=dek_id)

    assert (await damaged.diagnose_dek(document)).verdict == Verdict.ROW_MISSING
    assert (await diagnose_dek(damaged.keyring, "no/such?row")).verdict == Verdict.ROW_MISSING


async def test_a_disabled_version_is_named_with_who_retired_it(damaged: DamagedDocuments) -> None:
    """The tags of the rotation that disabled it are told."""
    document = await damaged.add()
    version = (await damaged.row(document))["mekVersion"]
    tags = {"keyturn-retired-by": ROTATION, "keyturn-retain-until": "2027-01-01"}
    await damaged.local_keyring.mek.change(version, enabled=False, tags=tags)

    found = await damaged.diagnose_dek(document)

    assert found.verdict == Verdict.VERSION_DISABLED
    assert found.version is not None
    assert (
        found.version.state,
        found.version.retired_by,
        found.version.retain_until,
    ) == ("disabled", ROTATION, "2027-01-01")


async def test_what_a_row_without_a_label_opens_under_is_found(damaged: DamagedDocuments) -> None:
    """Every enabled version is tried, the newest first."""
    document = await damaged.add()
    version = (await damaged.row(document))["mekVersion"]
    await damaged.local_keyring.mek.create()
    await damaged.change_row(document, mekVersion=...)

    found = await damaged.diagnose_dek(document)

    assert (found.verdict, found.opened_under) == (Verdict.NO_VERSION_LABEL, version)


async def test_a_wrap_of_something_else_than_a_dek_is_named(damaged: DamagedDocuments) -> None:
    """It unwraps, but not to 256 bits."""
    document = await damaged.add()
    version = await damaged.local_keyring.mek.client.newest_enabled()
    await damaged.change_row(document, wrappedDek=encoded(damaged.local_keyring.mek.client.wrap(b"short", version)))

    assert (await damaged.diagnose_dek(document)).verdict == Verdict.NOT_A_DEK


async def test_a_rollback_is_advised_for_a_changed_wrap_where_it_helps(damaged: DamagedDocuments) -> None:
    """The previous wrap still unwraps to the DEK of the key check."""
    document = await damaged.add()
    await rewrapped(damaged, document)
    await damaged.change_row(document, wrappedDek=flipped((await damaged.row(document))["wrappedDek"], 7))

    found = await damaged.diagnose_dek(document)

    assert (found.verdict, found.previous_wrap) == (Verdict.PREVIOUS_WRAP_OPENS, "holds")


@pytest.mark.parametrize(
    ("moved_by", "verdict", "command"),
    [
        (ROTATION, Verdict.VERSION_LOST, f"keyturn rollback {ROTATION}"),
        ("notes.m.20260301T030000Z.abcdef", Verdict.PREVIOUS_WRAP_OPENS, "keyturn repair dek"),
    ],
)
async def test_a_version_that_is_gone_is_undone_by_what_made_it(
    damaged: DamagedDocuments, moved_by: str, verdict: Verdict, command: str
) -> None:
    """Every row of its rotation misses it and keeps the wrap from before: the rotation is named, of a document too."""
    document = await damaged.add()
    await rewrapped(damaged, document)
    await damaged.change_row(document, mekVersion="0" * 32, rotationId=moved_by)

    found = await damaged.diagnose_dek(document)
    of_document = await damaged.diagnose(document)

    assert (found.verdict, found.previous_wrap, of_document.verdict) == (verdict, "holds", verdict)
    assert command in found.next_step
    assert found.next_step == of_document.next_step


async def test_a_wrap_that_was_changed_cannot_be_rolled_back_to_a_retired_version(damaged: DamagedDocuments) -> None:
    """Nobody can tell what a wrap under a disabled version holds."""
    document = await damaged.add()
    old = await rewrapped(damaged, document)
    await damaged.local_keyring.mek.change(old, enabled=False)
    await damaged.change_row(document, wrappedDek=flipped((await damaged.row(document))["wrappedDek"], 7))

    found = await damaged.diagnose_dek(document)

    assert (found.verdict, found.previous_wrap) == (Verdict.WRAP_REFUSED, "not_readable")


@pytest.mark.parametrize("harmed", ["wrappedDek", "mekVersion", "algorithm", "itself"])
async def test_a_previous_wrap_that_was_changed_is_named(damaged: DamagedDocuments, harmed: str) -> None:
    """A rollback would lose the DEK."""
    document = await damaged.add()
    await rewrapped(damaged, document)
    row = await damaged.row(document)
    changes = {
        "wrappedDek": flipped(row["previousWrap"]["wrappedDek"], 9),
        "mekVersion": row["mekVersion"],
        "algorithm": "RSA-OAEP",
    }
    harm = "gone" if harmed == "itself" else {**row["previousWrap"], harmed: changes[harmed]}
    await damaged.change_row(document, previousWrap=harm)

    found = await damaged.diagnose_dek(document)

    assert (found.verdict, found.unwraps) == (Verdict.PREVIOUS_WRAP_DAMAGED, True)


async def test_a_vault_that_does_not_answer_is_no_verdict(damaged: DamagedDocuments) -> None:
    """Throttling says nothing about a row."""
    document = await damaged.add()
    damaged.local_keyring.mek.fault(operation="unwrap", kind="throttle", count=None)

    with pytest.raises(UnavailableError):
        await damaged.diagnose_dek(document)


async def test_a_missing_right_is_no_verdict(damaged: DamagedDocuments) -> None:
    """Whoever may not unwrap is told so, and not that the row is bad."""
    document = await damaged.add()
    rights = [right for right in ROLES["Keyturn rotator"] if "unwrap" not in right]
    weak = Mek(damaged.local_keyring.mek.vault, *rights)
    weak.client.mek_name = damaged.local_keyring.mek.name
    keyring = damaged.resources()
    object.__setattr__(keyring, "mek", weak.client)

    with pytest.raises(PermissionMissingError):
        await diagnose_dek(keyring, document["title"]["dekId"])
    await weak.close()


def test_every_verdict_has_one_sentence() -> None:
    """No capital at its start, no full stop at its end."""
    for sentence in (verdict.next_step for verdict in Verdict):
        assert not sentence.endswith(".")
        assert sentence[0].islower()


def test_a_name_in_a_next_step_is_one_word_of_it() -> None:
    """Whatever it is made of, a placeholder's name among it."""
    step = filled(Verdict.PREVIOUS_WRAP_OPENS.next_step, "notes", "a KEYRING; b")

    assert "repair dek 'a KEYRING; b' --keyring notes --reason" in step
