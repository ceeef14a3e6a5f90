"""A person at a local Azure: lines of ``up``, exports that work when pasted, ``run`` with variables of one's own."""

import json
import re
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

from keyturn.settings import load_settings
from local.exports import person, read_endpoints
from local.supervisor.layout import REPOSITORY

pytestmark = [pytest.mark.end_to_end, pytest.mark.xdist_group("workstation")]

SECONDS = 120
PLAIN = {"PATH": "/usr/bin:/bin"}
COMES_UP = ("identity", "key_vault", "cosmos", "resource_manager", "actiontrail", "inbox", "task_hub")
# The library alone, as a backend has it.
LIBRARY = """
import asyncio, os
from azure.identity.aio import DefaultAzureCredential
from field_encrypt import MekClient
async def main():
    vault, name = os.environ["AZURE_KEYVAULT_URL"], os.environ["FIELD_ENCRYPT_MEK_NAME"]
    async with DefaultAzureCredential() as credential:
        async with MekClient(vault, name, credential, verify_challenge_resource=False) as mek:
            print((await mek.newest_enabled()).mek_name)
asyncio.run(main())
"""


class Workstation:
    """A local Azure that a person has brought up, and what it said."""

    def __init__(self, state: Path) -> None:
        self.state = state
        argv = [sys.executable, "-m", "local", "up", "--state", str(state), "--bits", "2048"]
        self._up = subprocess.Popen(argv, cwd=REPOSITORY, stdout=subprocess.PIPE, text=True)  # noqa: S603 - our own
        assert self._up.stdout is not None
        self.said: list[str] = []
        for line in self._up.stdout:
            self.said.append(line.rstrip("\n"))
            if line.startswith("Then: "):
                break

    @property
    def exports(self) -> list[str]:
        """The lines that are to be pasted."""
        return [line for line in self.said if line.startswith("export ")]

    def stop(self) -> None:
        """Stop it as Ctrl-C does."""
        self._up.send_signal(signal.SIGINT)
        assert self._up.wait(SECONDS) == 0
        assert self._up.stdout is not None
        self._up.stdout.close()

    def local(self, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
        """Run ``python -m local`` beside it."""
        return run([sys.executable, "-m", "local", *arguments], {**PLAIN, **environment})


def run(argv: list[str], environment: Mapping[str, str]) -> subprocess.CompletedProcess[str]:
    """Run a command to its end in this environment and no other."""
    return subprocess.run(  # noqa: S603 - our own
        argv, cwd=REPOSITORY, env=dict(environment), capture_output=True, text=True, timeout=SECONDS, check=False
    )


@pytest.fixture(scope="module")
def workstation(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Workstation]:
    """The local Azure of these tests; its folder has a name that a shell would split."""
    running = Workstation(tmp_path_factory.mktemp("dana's folder"))
    yield running
    running.stop()


def test_each_service_is_shown_as_it_comes_up(workstation: Workstation) -> None:
    """Its name, where it listens, and how long it took."""
    lines = workstation.said[: len(COMES_UP) + 3]

    assert [line.split()[0] for line in lines] == [*COMES_UP, "seed", "functions_host", "backend"]
    addressed = [line for line in lines if not line.startswith("seed")]
    assert [line for line in addressed if not re.search(r" https?://localhost:\d+ +up after \d+\.\d s$", line)] == []


def test_pasted_exports_are_what_the_command_line_needs(workstation: Workstation) -> None:
    """In a shell with nothing but a path: the app answers, and the library reaches the vault."""
    pasted = "\n".join(workstation.exports)
    listed = run(["/bin/sh", "-c", f"{pasted}\nkeyturn keyrings"], PLAIN)
    opened = run(["/bin/sh", "-c", f"{pasted}\nexec '{sys.executable}' -c '{LIBRARY}'"], PLAIN)

    assert (listed.returncode, listed.stderr) == (0, "")
    assert "notelett" in listed.stdout
    assert (opened.returncode, opened.stdout) == (0, "notelett-mek\n"), opened.stderr


def test_all_settings_come_by_the_line_that_is_printed(workstation: Workstation) -> None:
    """Pasted as it stands, into a shell whose path has no python of ours."""
    [line] = [line for line in workstation.said if line.startswith('eval "$(')]
    found = run(["/bin/sh", "-euc", f"{line}\necho $KEYTURN_ACCESS; keyturn --version"], PLAIN)

    assert (found.returncode, found.stdout.split()[:2]) == (0, ["keys", "keyturn"]), found.stderr


def test_exports_of_a_running_one_hold_every_setting(workstation: Workstation) -> None:
    """From a file that a shell reads, ``doctor`` finds the app's settings, and an approver their own name."""
    file = workstation.state / "keyturn.env"
    printed = {
        who: workstation.local("exports", "--state", str(workstation.state), "--as", who)
        for who in ("operator", "approver")
    }
    file.write_text(printed["operator"].stdout)
    sourced = run(["/bin/sh", "-c", f'. "{file}" && env -0'], PLAIN)
    found = dict(item.split("=", 1) for item in sourced.stdout.split("\0") if item)

    expected = person(read_endpoints(workstation.state), workstation.state)
    assert {name: found.get(name) for name in expected} == expected
    assert load_settings(found).keyrings[0].name == "notelett"
    assert Path(found["APPROVER_SECRET_FILE"]).read_text() == found["APPROVAL_WEBHOOK_SECRETS"]
    assert "export KEYTURN_BY='sam@example.com'" in printed["approver"].stdout.splitlines()


@pytest.mark.parametrize(("flags", "principal"), [((), "keyturn"), (("--operator",), "operator")])
def test_run_passes_ones_own_variables_through(
    workstation: Workstation, flags: tuple[str, ...], principal: str
) -> None:
    """Keyturn's and the library's; the rest is the app's, or the operator's, and nothing else of the caller's shell."""
    ask = "import json, os; print(json.dumps(dict(os.environ)))"
    own = {"KEYTURN_BY": "kim@example.com", "FIELD_ENCRYPT_MEK_NAME": "another", "OTHER": "of the shell"}
    arguments = ("run", "--state", str(workstation.state), *flags, sys.executable, "-c", ask)

    plain = json.loads(workstation.local(*arguments).stdout)
    given = json.loads(workstation.local(*arguments, **own).stdout)

    headers = json.loads((workstation.state / "identity" / "principals.json").read_text())
    assert plain["IDENTITY_HEADER"] == headers[principal]["header"]
    assert (plain["KEYTURN_BY"], plain["FIELD_ENCRYPT_MEK_NAME"]) == ("dana@example.com", "notelett-mek")
    assert (given["KEYTURN_BY"], given["FIELD_ENCRYPT_MEK_NAME"]) == ("kim@example.com", "another")
    assert {**plain, **given} == {**plain, "KEYTURN_BY": given["KEYTURN_BY"], "FIELD_ENCRYPT_MEK_NAME": "another"}
    assert {"KEYTURN_URL", "KEYTURN_FUNCTION_KEY"} <= set(plain)
    assert "OTHER" not in given


def test_run_finds_the_command_line(workstation: Workstation) -> None:
    """By its name, on nothing but what ``run`` sets."""
    listed = workstation.local("run", "--state", str(workstation.state), "keyturn", "keyrings")

    assert (listed.returncode, listed.stderr) == (0, "")
    assert "notelett" in listed.stdout


def test_where_none_is_up_the_user_learns_how(tmp_path: Path) -> None:
    """Neither a folder that never was nor one whose processes have ended is taken for a local Azure."""
    ended = {"pids": {"functions_host": 2**22 + 1}, "appEnvironment": {}, "environment": {}}
    (tmp_path / "endpoints.json").write_text(json.dumps(ended))

    for state in (tmp_path, tmp_path / "missing"):
        refused = run([sys.executable, "-m", "local", "exports", "--state", str(state)], {**PLAIN, "COLUMNS": "400"})
        assert refused.returncode == 2
        assert f"no local Azure is up in {state}: {sys.executable} -m local up --state {state}" in refused.stderr
