"""A wait at a desk goes on over whatever happens to the app, and longer than a token lasts."""

import asyncio
import contextlib
import sys
from collections.abc import AsyncIterator, Iterator

import pytest

from local.functions_host.sign_in import AUDIENCE
from tests.end_to_end.command_line import REPOSITORY, SECONDS, operator_environment
from tests.end_to_end.guarded import READER, GuardedApp
from tests.local.services import ServiceProcess, start_service

pytestmark = [pytest.mark.end_to_end, pytest.mark.xdist_group("guarded"), pytest.mark.long]

TOKEN_SECONDS = 2
FAILURES = 6  # answers of 503; the pauses between them add up to more than a token lasts


@pytest.fixture
def short_tokens(guarded: GuardedApp) -> Iterator[ServiceProcess]:
    """A second endpoint of the same tenant, whose tokens last for two seconds."""
    guarded.control("identity", "PUT", "principals/rea", json={"roles": [READER], "header": "rea"})
    state = guarded.azure.layout.folder("identity")
    service = start_service("local.identity", "--state", state, "--token-seconds", str(TOKEN_SECONDS))
    yield service
    service.stop()


@contextlib.asynccontextmanager
async def waiting_for(
    app: GuardedApp, identity: ServiceProcess, run_id: str
) -> AsyncIterator[asyncio.subprocess.Process]:
    """Wait for the run at a desk whose reader is signed in."""
    environment = operator_environment(app.azure)
    environment |= {"IDENTITY_ENDPOINT": f"{identity.url}/msi/token", "IDENTITY_HEADER": "rea"}
    environment |= {"KEYTURN_TOKEN_SCOPE": f"{AUDIENCE}/.default"}
    command = (sys.executable, "-m", "keyturn.cli", "status", run_id, "--wait", "--field", "state")
    pipe = asyncio.subprocess.PIPE
    process = await asyncio.create_subprocess_exec(*command, cwd=REPOSITORY, env=environment, stdout=pipe, stderr=pipe)
    try:
        yield process
    finally:
        with contextlib.suppress(ProcessLookupError):
            process.kill()
        await process.wait()


async def said(process: asyncio.subprocess.Process, text: str) -> str:
    """Return the next line of standard error that holds the text."""
    assert process.stderr is not None
    while line := (await asyncio.wait_for(process.stderr.readline(), SECONDS)).decode():
        if text in line:
            return line
    pytest.fail(f"the wait ended before it said {text!r}")


async def test_a_wait_outlives_failures_and_its_token(guarded: GuardedApp, short_tokens: ServiceProcess) -> None:
    """The app answers 503 for longer than a token lasts, dies, and is started again; the wait ends as it should."""
    guarded.arm("functions_host", kind="hold", operation="prove_page", count=None)
    run_id = await guarded.start()
    async with waiting_for(guarded, short_tokens, run_id) as process:
        await said(process, "soaking")
        guarded.arm("functions_host", kind="status", operation="get_rotation", status=503, count=FAILURES)
        await said(process, "answered 503")
        answers = await said(process, "answers again")
        guarded.azure.processes["functions_host"].kill()
        away = await said(process, "did not answer")
        await asyncio.to_thread(guarded.azure.start, "functions_host")
        await guarded.callers.wait_for(run_id, "awaiting_approval")
        decide = await said(process, "decide: ")
        out, _ = await asyncio.wait_for(process.communicate(), SECONDS)
    await guarded.callers.call("POST", f"/api/rotations/{run_id}/abort")
    await guarded.callers.wait_for(run_id, "aborted")

    assert (process.returncode, out) == (0, b"awaiting_approval\n")
    assert "waiting on" in away
    assert run_id in decide
    assert answers


async def test_a_reader_who_is_not_known_any_more_does_not_wait(
    guarded: GuardedApp, short_tokens: ServiceProcess
) -> None:
    """Rights that are taken away end a wait with the next token, which is asked for at once."""
    guarded.arm("functions_host", kind="hold", operation="prove_page", count=None)
    run_id = await guarded.start()
    async with waiting_for(guarded, short_tokens, run_id) as process:
        await said(process, "soaking")
        service = guarded.control("identity", "PUT", "principals/rea", json={"roles": ["Keyturn.Nobody"]})
        short_tokens.stop()
        short_tokens.start()
        _, err = await asyncio.wait_for(process.communicate(), SECONDS)
    guarded.release("functions_host")
    await guarded.callers.call("POST", f"/api/rotations/{run_id}/abort")
    await guarded.callers.wait_for(run_id, "aborted")

    assert process.returncode == 77, service
    assert b"this needs the role" in err
