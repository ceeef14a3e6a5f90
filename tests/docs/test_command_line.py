"""docs/command-line.md shows what a terminal of 80 columns shows: its transcripts are made again, and compared.

Ids, versions, digests, times, lengths of time and numbers differ from run to run, and so does where a line is broken
because of them; everything else is the same.
"""

import re
import shlex
from collections.abc import Mapping
from pathlib import Path

import pytest

from keyturn.cli.status_view import LINES_MAX
from keyturn.direct.run import NAME
from keyturn.errors import OUTCOMES
from local.identity.roles import assigned, container
from local.supervisor import LocalAzure
from local.supervisor.environment import COSMOS_DATABASE, NOTES_CONTAINER
from tests.docs.hints import OF_ONE_KEYRING, filled, texts
from tests.end_to_end.app_harness import AppHarness
from tests.end_to_end.app_settings import ARCHIVE_DEKS, ARCHIVE_MEK, settings_of
from tests.end_to_end.command_line import REPOSITORY, keyturn, operator_environment
from tests.end_to_end.moving_documents import APP, all_notes, allow, rights_of_one_keyring
from tests.keyturn.cli.terminal import Terminal

PAGE = (REPOSITORY / "docs" / "command-line.md").read_text()
REST = "..."  # ends a transcript of which the page shows the beginning
RUN = re.compile(r"[a-z0-9-]+(\.m)?\.\d{8}T\d{6}Z\.[0-9a-f]{6}")
MASKS = (
    (RUN, "RUN"),
    (re.compile(r"\b[0-9a-f]{64}\b"), "DIGEST"),
    (re.compile(r"\b[0-9a-f]{32}\b"), "VERSION"),
    (re.compile(r"\d{4}-\d\d-\d\d \d\d:\d\d UTC"), "TIME"),
    (re.compile(r"(\d+ (d|h|min|s)\b ?)+"), "SPAN "),
    (re.compile(r"(?<=drift)( +)(none, as of TIME|not looked at yet)"), " DRIFT"),
    (re.compile(r"\d[\d,]*(\.\d+)?"), "N"),
    (re.compile(r"\s+"), " "),
)


def transcripts(heading: str) -> dict[str, list[str]]:
    """Return the transcripts of a section: by command, the lines that it wrote."""
    section = re.split(rf"^#+ {re.escape(heading)}$", PAGE, flags=re.MULTILINE)[1]
    section = re.split(r"^#+ ", section, flags=re.MULTILINE)[0]
    found: dict[str, list[str]] = {}
    for block in re.findall(r"^```console\n(.*?)^```", section, flags=re.MULTILINE | re.DOTALL):
        for transcript in re.split(r"^\$ keyturn ", block, flags=re.MULTILINE)[1:]:
            command, *lines = transcript.rstrip().splitlines()
            found[command] = lines
    return found


def masked(lines: list[str]) -> str:
    """Return the lines as one text, in which what differs from run to run is masked."""
    text = " ".join(lines)
    for pattern, mask in MASKS:
        text = pattern.sub(mask, text)
    return text.strip()


def same(heading: str, run: str, env: Mapping[str, str]) -> None:
    """Run the commands of a section in a terminal, each with this run's id, and compare what they write."""
    shown = transcripts(heading)
    assert shown
    for command, lines in shown.items():
        with Terminal(*shlex.split(RUN.sub(run, command)), env=env) as terminal:
            terminal.end()
            written = terminal.everything
        # A line that were longer would have been broken by the terminal: no word begins a line in its middle.
        plain = [line.rstrip() for line in re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", terminal.written).splitlines()]
        assert max(map(len, plain)) <= 80, command
        expected = [line for line in lines if line]
        if expected[-1] == REST:
            found, wanted = masked(written), masked(expected[:-1])
            assert found.startswith(wanted), f"{command}\n{found}\n{wanted}"
        else:
            assert masked(written) == masked(expected), command
        assert len(written) <= LINES_MAX or not command.startswith("status") or "--full" in command


def test_every_exit_code_is_on_the_page() -> None:
    """Each of the table of errors, once, beside those that no error has."""
    listed = re.findall(r"^\| (\d+) \|", PAGE.partition("## Exit codes")[2], flags=re.MULTILINE)

    assert [int(code) for code in listed] == sorted(
        {0, 1, 2, 130} | {outcome.exit_code for outcome in OUTCOMES.values()}
    )


def test_the_page_is_80_columns_wide_where_it_shows_a_terminal() -> None:
    """And every transcript has a command."""
    blocks = re.findall(r"^```console\n(.*?)^```", PAGE, flags=re.MULTILINE | re.DOTALL)

    assert all(block.startswith("$ ") for block in blocks)
    assert max(len(line) for block in blocks for line in block.splitlines()) <= 80


@pytest.fixture
def env(azure: LocalAzure, tmp_path: Path) -> dict[str, str]:
    """A desk without contexts."""
    return {**operator_environment(azure), "XDG_CONFIG_HOME": str(tmp_path), "HOME": str(tmp_path)}


@pytest.mark.long
@pytest.mark.end_to_end
@pytest.mark.xdist_group("runbooks")
async def test_a_terminal_shows_what_the_page_shows(app: AppHarness, env: dict[str, str]) -> None:
    """Of a rotation that waits for approval, of one that has completed, and of mistakes."""
    run = await app.start()
    await app.callers.wait_for(run, "awaiting_approval")
    same("A run that waits", run, env)

    same("Watching", run, env)
    same("Deciding", run, {**env, "KEYTURN_BY": "sam@example.com"})
    await app.callers.wait_for(run, "completed")
    same("A run that has ended", run, env)
    same("Mistakes", run, env)


DONE, REFUSED = 0, 73
DECIDING = {
    "keyturn abort RUN",
    "keyturn approve RUN --digest DIGEST",
    "keyturn reject RUN --digest DIGEST --comment WHY",
}
# End as what they found ended: the newest run was aborted here, and versions were enabled again.
LOOKS = {"keyturn watch", "keyturn verify KEYRING"}
# Obeyed here or in tests/end_to_end: after acknowledging in a terminal, by an operator whose run needs attention.
OF_A_RUN_THAT_WAITS = DECIDING | {
    "keyturn approve RUN",
    "keyturn retry RUN",
    "keyturn repair dek DEK --keyring KEYRING --reason 'its wrap does not open'",
}


async def values_of(azure: LocalAzure, app: AppHarness, folder: Path) -> dict[str, str]:
    """Return what is there for every placeholder of a hint, after a completed rotation."""
    run = await app.start()
    status = await app.approve(run)
    document, note = next(iter((await all_notes(app)).items()))
    exported = await keyturn(azure, "audit", "export", run)
    chain = folder / "chain.jsonl"
    chain.write_text(exported.out)
    head = re.search(r"head (\S+)", (await keyturn(azure, "audit", "verify", str(chain))).out)
    assert head is not None
    return {
        **dict.fromkeys(("RUN", "ROTATION_ID"), run),
        **dict.fromkeys(("KEYRING", "{}"), app.keyring),
        "VERSION": status["targetVersion"],
        "DIGEST": status["evidenceDigest"],
        "DEK": str(note["title"]["dekId"]),
        "DOCUMENT": document,
        "CONTAINER": NOTES_CONTAINER,
        "FILE": str(chain),
        "SEQ:HASH": head[1],
    }


async def add_keyring(azure: LocalAzure, app: AppHarness) -> None:
    """Give the app a second keyring, so that a command which needs one and names none is refused."""
    if azure.options.settings != (both := settings_of("two keyrings", azure)):
        await app.keys.create_rsa_key(ARCHIVE_MEK, size=2048)
        await app.create_dek_container(ARCHIVE_DEKS)
        azure.reconfigure(both)


@pytest.mark.long
@pytest.mark.end_to_end
@pytest.mark.xdist_group("runbooks")
@pytest.mark.timeout(900)
async def test_every_command_of_a_hint_is_run(
    azure: LocalAzure, app: AppHarness, env: dict[str, str], tmp_path: Path
) -> None:
    """On a completed rotation each is obeyed, or refused for what it is about: never for how it is written.

    There are two keyrings, but for those commands that are told only where there is one.
    """
    values = await values_of(azure, app, tmp_path)
    commands = {command for said in texts() for command in said.commands}
    assert not {word for command in commands for word in shlex.split(command)} & {"VALUE", "VARIABLE"}
    codes: dict[str, int] = {}
    held = app.control("identity", "GET", APP)["roles"]
    own = assigned("Keyturn dek store", container(COSMOS_DATABASE, ARCHIVE_DEKS))
    await allow(app, [*held, *rights_of_one_keyring(), *own])
    try:
        for command in [*sorted(OF_ONE_KEYRING & commands), *sorted(commands - OF_ONE_KEYRING - {NAME})]:
            if command not in OF_ONE_KEYRING:
                await add_keyring(azure, app)
            # What is deployed, where a chain is a file too.
            given = {**values, "FILE": str(REPOSITORY / "requirements.txt")} if " doctor " in command else values
            words = [word for word in filled(command, given) if word != "--wait"]
            codes[command] = (await keyturn(azure, *words, **env)).code
            await app.end_what_runs()
    finally:
        await allow(app, held)

    assert len(codes) > 50
    assert {command: code for command, code in codes.items() if code not in (DONE, REFUSED)} == {}
    assert {command for command, code in codes.items() if code == REFUSED} - LOOKS == OF_A_RUN_THAT_WAITS


@pytest.mark.long
@pytest.mark.end_to_end
@pytest.mark.xdist_group("runbooks")
@pytest.mark.parametrize("command", sorted(DECIDING))
async def test_a_hint_for_a_run_that_waits_is_obeyed(
    azure: LocalAzure, app: AppHarness, env: dict[str, str], command: str
) -> None:
    """By another person than the requester, with the digest that the status tells."""
    run = await app.start()
    values = {"RUN": run, "DIGEST": (await app.callers.wait_for(run, "awaiting_approval"))["evidenceDigest"]}

    ended = await keyturn(azure, *filled(command, values), **{**env, "KEYTURN_BY": "sam@example.com"})

    assert ended.code == DONE, ended.err
    assert command in {command for said in texts() for command in said.commands}
