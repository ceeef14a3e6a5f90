"""I6: no key material, token or secret in logs, durable history, custom status, audit, errors or notifications."""

import secrets
import shutil
import traceback
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from azure.cosmos.exceptions import CosmosHttpResponseError

from activities import boundary
from keyturn.contracts.pages import PageInput
from keyturn.errors import UnavailableError
from local.supervisor import LocalAzure
from local.supervisor.layout import REPOSITORY
from tests.end_to_end.app_harness import AppHarness
from tests.end_to_end.quick_azure import quick_azure
from tests.invariants.harness import ActivityHarness
from tests.invariants.rotation_driver import RotationDriver
from tests.invariants.traces import FOR_ONE_APPROVER, findings_in, links_of, secrets_of, traces_of
from tests.scanner import Finding, Scanner, Secret

CANARY = secrets.token_hex(16)


@pytest.fixture(scope="session")
def azure(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalAzure]:
    """A local Azure with a few notes and a vault without limits."""
    with quick_azure(tmp_path_factory.mktemp("azure"), deks=12, partitions=1) as running:
        yield running


@pytest.fixture
def leaking(azure: LocalAzure, tmp_path: Path) -> Iterator[None]:
    """Have the app replaced by one that leaks, and put back afterwards."""
    unbroken = azure.options
    copied = shutil.copytree(Path(__file__).parent / "leaking_app", tmp_path / "app")
    shutil.copy(REPOSITORY / "host.json", copied)
    for options in (replace(unbroken, app=copied), unbroken):
        azure.processes["functions_host"].terminate()
        azure.options = options
        azure.start("functions_host")
        if options is not unbroken:
            yield


async def findings(azure: LocalAzure) -> list[Finding]:
    """Rotate, and scan what the rotation leaves behind for every secret that there is, before it and after."""
    async with AppHarness(azure) as app:
        known = await secrets_of(app)
        status = await app.rotate()
        known += await secrets_of(app)
        return findings_in(await traces_of(app, status["rotationId"]), known, links_of(app))


@pytest.mark.end_to_end
async def test_a_rotation_leaves_no_secret_behind(azure: LocalAzure) -> None:
    """What a whole rotation writes, stores, sends and answers holds no DEK, wrapped or not, and no secret."""
    assert [str(finding) for finding in await findings(azure)] == []


@pytest.mark.end_to_end
async def test_broken_an_app_that_leaks_is_caught_everywhere(azure: LocalAzure, leaking: None) -> None:
    """A DEK in a log line, an envelope, a state's detail and a message is found in every place that these lead to."""
    found = await findings(azure)

    everywhere = {"log", "history", "documents", "events", "messages", "answers", FOR_ONE_APPROVER}
    assert {finding.where for finding in found} == everywhere
    assert {finding.secret for finding in found} == {"a DEK"}


@pytest.fixture
async def refused(harness: ActivityHarness, monkeypatch: pytest.MonkeyPatch) -> PageInput:
    """A page whose write the database refuses with an error that quotes a secret."""
    await harness.local_keyring.add(harness.old)
    driver = RotationDriver(harness, await harness.start())
    driver.target = await harness.local_keyring.mek.create()
    (page,) = await driver.pages("rewrap")

    async def refuse(*_: Any, **__: Any) -> None:
        raise CosmosHttpResponseError(status_code=503, message=f"the request was {CANARY}")  # type: ignore[no-untyped-call]  # the SDK's constructor has no types

    monkeypatch.setattr(harness.local_keyring.container, "patch_item", refuse)
    return page


async def raised(harness: ActivityHarness, page: PageInput, caplog: pytest.LogCaptureFixture) -> list[Finding]:
    """Run the page, and scan what the worker writes of what it raises, with its causes, and the log."""
    with pytest.raises(UnavailableError) as caught:
        await harness.act("rewrap_page", page)
    traces = {"history": "".join(traceback.format_exception(caught.value)), "log": caplog.text}
    return Scanner([Secret("the canary", CANARY.encode())]).scan_all(traces)


async def test_what_is_raised_quotes_no_service(
    harness: ActivityHarness, refused: PageInput, caplog: pytest.LogCaptureFixture
) -> None:
    """The text of a service's error is neither in what an activity raises, its causes included, nor in the log."""
    assert await raised(harness, refused, caplog) == []


async def test_broken_what_is_raised_keeps_its_causes(
    harness: ActivityHarness, refused: PageInput, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where an activity lets an error out with its cause, the canary is in what the worker writes into history."""

    async def let_out(_name: str, kind: Any, work: Any, payload: Any) -> Any:
        return await work(kind.from_payload(payload), harness.resources)

    monkeypatch.setattr(boundary, "_run", let_out)

    assert {(found.secret, found.where) for found in await raised(harness, refused, caplog)} == {
        ("the canary", "history")
    }
