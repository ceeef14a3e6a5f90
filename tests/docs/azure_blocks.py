"""What the pages' blocks for Azure ask of ``az``: they are run, whole and in order, where Azure's tools take notes.

A page is pasted from the top into one empty shell, as its reader does; what is for the local Azure alone is left out.
Programs that would ask something of Azure, a cluster or a host are stand-ins: ``az`` and ``azd`` note what they were
asked, and answer as a deployment of ``infra/variants/default.bicepparam`` might; jq, sed, awk and the shell are real.

    .venv/bin/python -m tests.docs.azure_blocks FILE        # for `make azure-cli`: what was asked, as JSON
"""

import json
import re
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any, NamedTuple

import yaml

from tests.docs.hints import all_texts
from tests.docs.runbook import RUNBOOKS, Block, Runbook
from tests.end_to_end.command_line import REPOSITORY
from tests.infra.snapshots import read_snapshots

PAGES = (
    "runbooks/MEK_ROTATION.md",
    "runbooks/SECRET_MANAGEMENT.md",
    "deploy.md",
    "first-deployment.md",
    "operations.md",
    "../infra/README.md",
)
# What pages tell their reader to set, or to write in an editor; and a deployment where people sign in.
GIVEN = "KEYTURN_URL=given KEYTURN_FUNCTION_KEY=given AZURE_RESOURCE_GROUP=given\n: > channel.new\n"
SIGN_IN = {"KEYTURN_ACCESS": "entra", "KEYTURN_ENTRA_CLIENT_ID": "7d0c2c55-0c0b-4c0e-8f5e-0b6f0a1f9b11"}
UNIT = RUNBOOKS / "secrets" / "notes-secrets.service"
# Whatever else a block runs that is not of the base system, or would change this machine.
OTHERS = (
    "apprise curl docker encrypt-migrate envsubst findmnt gh keyturn kubectl make openssl pip pipx python "
    "systemctl useradd"
)
_SUBSCRIPTION = "00000000-0000-0000-0000-000000000000"
# What only a deployment knows, by the property that a template or a query asks for.
_KNOWN = {
    "vaultUri": "https://kv-notes.vault.azure.net/",
    "documentEndpoint": "https://cosmos-notes.documents.azure.com:443/",
    "principalId": "3b8f1c1e-52a4-4d0c-9d5e-7a6b5c4d3e2f",
    "clientId": "7d0c2c55-0c0b-4c0e-8f5e-0b6f0a1f9b11",
    "defaultHostName": "https://func-keyturn.azurewebsites.net",
    "issuerUrl": "https://westeurope.oic.prod-aks.azure.com/issuer/",
    "kid": "https://kv-notes.vault.azure.net/keys/mek/0123456789abcdef0123456789abcdef",
    "id": f"/subscriptions/{_SUBSCRIPTION}/resourceGroups/rg/providers/Microsoft.KeyVault/vaults/kv-notes",
}
_LOCAL = re.compile(r"local Azure", re.IGNORECASE)
_TO_FILL_IN = re.compile(r"<[a-z][^<>\n]*>")
_MENTION = re.compile(r"\baz(?: [a-z][a-z-]+)+(?: --[a-z-]+(?: [^-\s`;,][^\s`;,]*)?)*")
_COMPLAINT = re.compile(r"^@(\S+)\n((?:[^@].*\n?)+)", re.MULTILINE)


class Asked(NamedTuple):
    """A call of ``az``: where it stands and its words; not ``whole`` where a text only mentions it."""

    where: str
    words: list[str]
    whole: bool = True


def pages() -> list[Runbook]:
    """Return every page that has blocks for Azure."""
    return [Runbook(name, REPOSITORY / "docs") for name in PAGES]


def for_azure(page: Runbook) -> list[Block]:
    """Return the blocks that are for Azure: of a runbook all but those for the local Azure, else those that ask it."""
    lines = page.text.splitlines()
    return [
        block
        for block in page.fenced()
        if block.language == "console" or (block.language == "sh" and not _LOCAL.search(_told_of(lines, block)))
        if page.path.parent == RUNBOOKS or re.search(r"\bazd? ", block.text)
    ]


def _told_of(lines: list[str], block: Block) -> str:
    """Return the paragraph before a block, with the block's own remark that it is for one of them only."""
    paragraph = "\n".join(lines[: block.line - 2]).rstrip().rpartition("\n\n")[2]
    return paragraph + "\n".join(re.findall(r"# .* only$", block.text, re.MULTILINE))


def to_fill_in(page: Runbook) -> list[str]:
    """Return what a reader has to put in before a block can be pasted, each with its line."""
    return [
        f"{page.path.name}:{number}: {found}"
        for block in page.fenced()
        if block.language in ("sh", "console")
        for number, line in enumerate(block.text.splitlines(), block.line)
        for found in _TO_FILL_IN.findall(line)
    ]


class Workstation:
    """A folder with a checkout, and a shell whose tools for Azure only write down what they are asked."""

    def __init__(self, folder: Path) -> None:
        """Put the stand-ins into ``folder``, which must be empty."""
        self._folder = folder
        self._programs = folder / "programs"
        self._notes = folder / "asked"
        self._programs.mkdir()
        (folder / "etc" / "systemd" / "system").mkdir(parents=True)
        self.checkout = folder / "keyturn"
        (self.checkout / ".venv").mkdir(parents=True)
        (self.checkout / ".venv" / "bin").symlink_to(self._programs)
        for name in ("docs", "infra"):
            (self.checkout / name).symlink_to(REPOSITORY / name)
        self._answers()

    def _answers(self) -> None:
        deployed = read_snapshots()["default"]
        settings = [{"name": name, "value": _plain(value)} for name, value in deployed.settings.items()]
        listed, values = self._folder / "settings", self._folder / "values"
        listed.write_text(json.dumps([*settings, {"name": "WITHOUT_A_VALUE", "value": None}]))
        outputs = deployed.outputs | SIGN_IN
        values.write_text("".join(f'{name}="{_plain(value)}"\n' for name, value in outputs.items()))
        # The query's last property says which value is wanted.
        known = "".join(f'*"--query "*"{name} "*) echo "{value}" ;;\n' for name, value in _KNOWN.items())
        note = f'{{ printf "%s\\0" "$AT" "$@"; printf "\\1"; }} >> {self._notes}\n'
        cased = {name[0].lower() + name[1:]: {"value": _plain(value)} for name, value in outputs.items()}
        (self._folder / "outputs").write_text(json.dumps(cased))  # as Resource Manager may tell their names
        known = f'*"properties.outputs"*) cat {self._folder}/outputs ;;\n{known}'
        known = f'*"appsettings list"*) cat {listed} ;;\n"account show --query id "*) echo {_SUBSCRIPTION} ;;\n{known}'
        self._write("az", f'{note}case "$* " in\n{known}*) echo answer ;;\nesac')
        one = f'sed -n "s/^$3=//p" {values} | tr -d \'"\''
        self._write("azd", f'case "$1 $2" in\n"env get-values") cat {values} ;;\n"env get-value") {one} ;;\nesac')
        for name in OTHERS.split():
            self._write(name, "echo answer")

    def _write(self, name: str, text: str) -> None:
        program = self._programs / name
        program.write_text(f"#!/bin/sh\n{text}\n")
        program.chmod(0o755)

    def paste(self, page: Runbook) -> list[Asked]:
        """Paste the page's blocks for Azure; see ``run``."""
        return self.run(page.path.name, [(0, GIVEN), *((block.line, block.text) for block in for_azure(page))])

    def run(self, where: str, blocks: list[tuple[int, str]]) -> list[Asked]:
        """Paste blocks, each with the number of its first line, into one empty shell; return what ``az`` was asked.

        Raises:
            AssertionError: the shell, or a program in it, complained; so it does about a name that no block has made.
        """
        text = "".join(f"export AT={where}:{line}; echo @$AT >&2\n{block}" for line, block in blocks)
        text = _TO_FILL_IN.sub("filled-in", text).replace("/etc/", f"{self._folder}/etc/")
        self._notes.write_text("")
        ran = subprocess.run(
            ["/bin/bash", "-u"],
            input=text,
            cwd=self.checkout,
            env={"PATH": f"{self._programs}:/usr/bin:/bin", "HOME": str(self._folder)},
            text=True,
            capture_output=True,
            check=False,
        )
        complaints = [f"{at}: {said}" for at, said in _COMPLAINT.findall(ran.stderr)]
        assert complaints == [], "\n".join(complaints)
        notes = [note.split("\0")[:-1] for note in self._notes.read_text().split("\1")]
        return [Asked(at, words) for at, *words in filter(None, notes)]


def _plain(value: Any) -> str:
    """Return a value of the snapshot, or what stands for one that only Azure knows."""
    text = str(value)
    found = re.search(r"\.(\w+)[),\]]", text.rpartition("'")[2]) if text.startswith("[") else None
    return _KNOWN.get(found[1], "answer") if found else text


def mentioned() -> list[Asked]:
    """Return commands that stand within a sentence: of a page, in backquotes, and of a text of the code."""
    found: list[Asked] = []
    for path in sorted(
        {REPOSITORY / "README.md", *(REPOSITORY / "docs").rglob("*.md"), REPOSITORY / "infra/README.md"}
    ):
        prose = re.sub(r"^ *```.*?^ *```$", "", path.read_text(), flags=re.DOTALL | re.MULTILINE)
        for code in re.findall(r"`(az [^`]+)`", prose):
            found += _mentions(path.name, " ".join(code.split()))
    for said in all_texts():
        found += _mentions(said.where, said.text)
    return found


def _mentions(where: str, text: str) -> list[Asked]:
    return [Asked(where, words, whole=False) for each in _MENTION.findall(text) if (words := each.split()[1:])]


def asked(folder: Path) -> list[Asked]:
    """Return every call of ``az`` in the pages' blocks, the workflows, and the unit of the single host."""
    found: list[Asked] = []
    workstation = Workstation(folder)
    for page in pages():
        found += workstation.paste(page)
    for file in sorted((REPOSITORY / ".github" / "workflows").glob("*.yml")):
        for name, job in yaml.safe_load(file.read_text())["jobs"].items():
            steps = "\n".join(step["run"] for step in job["steps"] if re.search(r"\baz ", step.get("run", "")))
            taken = sorted(set(re.findall(r"\$\{?([A-Z]\w+)", steps)))
            given = "".join(f"{each}={'.' if each == 'RUNNER_TEMP' else 'answer'}\n" for each in taken)
            found += workstation.run(f"{file.stem}/{name}", [(0, f"{given}{steps}\n")])
    unit = "\n".join(re.findall(r"^Exec\w+=/usr/bin/(az .+)$", UNIT.read_text(), re.MULTILINE))
    return found + workstation.run(UNIT.name, [(0, f"VAULT=kv-notes BACKEND_CLIENT_ID=answer\n{unit}\n")])


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as temporary:
        calls = asked(Path(temporary)) + mentioned()
    Path(sys.argv[1]).write_text(json.dumps([call._asdict() for call in calls], indent=1))
