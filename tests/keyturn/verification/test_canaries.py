"""Canaries: real documents of each container, the same throughout, and a failure only where a reader would fail too."""

from collections.abc import Sequence

import pytest

from keyturn.errors import UnavailableError
from keyturn.rotation.canaries import CANARIES_PER_CONTAINER, check_all, choose, per_container
from keyturn.runs.record_parts import CANARIES_MAX, Canary
from tests.keyturn.documents.scene import NAME, Scene


async def checked(scene: Scene, known: Sequence[Canary] = (), wanted: int = CANARIES_PER_CONTAINER) -> list[Canary]:
    """Check the canaries of the container, as a reader without a cache."""
    return await check_all(scene.container, scene.documents.description, scene.source.encryption, list(known), wanted)


def outcomes(canaries: Sequence[Canary]) -> dict[str, str]:
    """Return what became of each."""
    return {canary.document_id: canary.outcome for canary in canaries}


async def test_they_are_real_documents_that_are_encrypted(scene: Scene) -> None:
    """Nested fields and those of lists count; a plaintext document, a half encrypted one and an empty one are none."""
    await scene.add("whole", "other", side=scene.source)
    await scene.add("plain")
    [half] = await scene.add("half", side=scene.source)
    await scene.container.replace_item(half.id, {**await scene.stored("half"), "title": "plaintext"})
    await scene.container.create_item({"id": "empty", "parts": []})

    assert {"whole": "pass", "other": "pass"} == outcomes(await checked(scene))


async def test_a_document_that_lacks_a_field_serves_where_there_is_no_better_one(scene: Scene) -> None:
    """Documents may lack fields; those with more of them are taken first."""
    for name in ("no-title", "no-title-either"):
        document = await scene.source.encryption.encrypt_fields(
            NAME, name, {"id": name, "author": {"name": "D"}}, ["author/name"]
        )
        await scene.container.create_item(document)
    few = await choose(scene.container, scene.documents.description, 1)
    await scene.add("whole", side=scene.source)

    assert ["author"] == [name for name in await scene.stored(few[0].document_id) if name in ("author", "title")]
    assert ["whole"] == [canary.document_id for canary in await choose(scene.container, scene.documents.description, 1)]


async def test_they_stay_the_same(scene: Scene) -> None:
    """What was chosen is asked again, although there are other documents by then; one that is deleted is replaced."""
    await scene.add("a", "b", side=scene.source)
    first = await checked(scene, wanted=2)
    await scene.add("c", side=scene.source)
    again = await checked(scene, first, wanted=2)
    await scene.container.delete_item("a", partition_key="a")

    assert {"a": "pass", "b": "pass"} == outcomes(first) == outcomes(again)
    assert {"b": "pass", "c": "pass"} == outcomes(await checked(scene, again, wanted=2))


async def test_one_that_no_reader_opens_fails_with_its_reason(scene: Scene) -> None:
    """A version that is disabled, and a field that somebody has overwritten in plaintext."""
    await scene.add("a", "b", side=scene.source)
    known = await checked(scene)
    await scene.container.replace_item("b", {**await scene.stored("b"), "title": "plaintext"})
    overwritten = await checked(scene, known)
    await scene.source.mek.change(scene.source.version, enabled=False)
    disabled = await checked(scene, known)

    assert {"a": "pass", "b": "fail"} == outcomes(overwritten)
    assert {"a": "fail", "b": "fail"} == outcomes(disabled)
    assert disabled[0].detail.startswith("MekVersionDisabledError")


async def test_a_service_that_does_not_answer_is_no_verdict(scene: Scene) -> None:
    """Neither the container nor the vault says anything about a document when it is away."""
    await scene.add("a", side=scene.source)
    known = await checked(scene)
    scene.source.mek.fault(operation="unwrap", kind="status", status=500, count=None)

    with pytest.raises(UnavailableError):
        await checked(scene, known)


@pytest.mark.parametrize(("containers", "each"), [(1, CANARIES_PER_CONTAINER), (50, CANARIES_MAX // 50)])
def test_the_record_can_hold_all_of_them(containers: int, each: int) -> None:
    """Of many containers each has fewer canaries, and none has no canary."""
    assert per_container(containers) == each >= 1
    assert containers * each <= CANARIES_MAX
