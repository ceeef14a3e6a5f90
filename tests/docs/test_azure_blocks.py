"""Blocks for Azure, pasted where Azure's tools take notes: shell that runs whole, and commands with what they need."""

import json
import re
from pathlib import Path

import pytest

from tests.docs.azure_blocks import UNIT, Workstation, asked, for_azure, mentioned, pages, to_fill_in
from tests.docs.runbook import Runbook
from tests.infra.snapshots import INFRA

# The shells are subprocesses.
PAGE = """# A page

For Azure:

```console
NAME=$(az keyvault show --name <vault> --query properties.vaultUri --output tsv)
azd env get-values > values
. ./values
```

1. In a list:

   ```sh
   test "$NAME" = "$AZURE_KEYVAULT_URL" && az group show --name "two words" > /etc/note
   ```

On the local Azure:

```sh
az no-such-command
```
"""


@pytest.fixture
def workstation(tmp_path: Path) -> Workstation:
    """A shell whose tools for Azure only write down what they are asked."""
    return Workstation(tmp_path)


def page_of(tmp_path: Path, text: str) -> Runbook:
    """Return a page with this text."""
    (tmp_path / "page.md").write_text(text)
    return Runbook("page.md", tmp_path)


@pytest.mark.parametrize("page", pages(), ids=lambda page: page.path.name)
def test_blocks_for_azure_run_whole(workstation: Workstation, page: Runbook) -> None:
    """Neither the shell nor jq complains, and each name was made by a block before, or is the deployment's."""
    assert workstation.paste(page) != []


@pytest.mark.parametrize("name", ["MEK_ROTATION.md", "SECRET_MANAGEMENT.md"])
def test_a_runbook_leaves_nothing_to_fill_in(name: str) -> None:
    """A block is pasted as it stands; what only its reader knows is a variable on a line of its own."""
    page = Runbook(name)

    assert to_fill_in(page) == []
    assert [block.language for block in page.fenced() if re.search(r"\baz ", block.text)].count("console") > 5


def test_the_settings_of_a_deployment_are_a_shells(workstation: Workstation) -> None:
    """The file that the runbook makes of them holds the app's settings, quoted, and no reference into the vault."""
    page = Runbook("MEK_ROTATION.md")
    first = next(block for block in for_azure(page) if "appsettings list" in block.text)

    workstation.run("first", [(first.line, first.text)])

    lines = (workstation.checkout / "keyturn.env").read_text().splitlines()
    made = dict(line.split("=", 1) for line in lines)
    assert [name for name in made if not re.fullmatch(r"\w+", name)] == []
    assert made["ROTATION_SCHEDULE"] == "'0 0 3 1 * *'"
    assert (made["VAULT"], made["ACCOUNT_GROUP"]) == ("'kv-notes'", "'rg-keyturn-default'")
    assert made["WITHOUT_A_VALUE"] == "''"
    assert "APPROVAL_WEBHOOK_SECRETS" not in made


def test_outputs_are_those_that_azd_gives(workstation: Workstation) -> None:
    """Without azd: the same names, although Resource Manager does not keep their case, and the same values."""
    [page] = [page for page in pages() if page.path.name == "deploy.md"]
    [block] = [block for block in for_azure(page) if "properties.outputs" in block.text]

    workstation.run("outputs", [(1, f"{{ {block.text}}} > without\nazd env get-values > with\n")])

    [without, given] = [(workstation.checkout / name).read_text().replace("'", '"') for name in ("without", "with")]
    assert without == given
    assert 'KEYTURN_URL="https://' in given


def test_what_az_is_asked_is_written_down(workstation: Workstation, tmp_path: Path) -> None:
    """With its words and its place; what is for the local Azure is left out, and files stay in the folder."""
    page = page_of(tmp_path, PAGE)

    found = workstation.run("page", [(block.line, block.text) for block in for_azure(page)])

    assert [(where, words[:2]) for where, words, _ in found] == [
        ("page:6", ["keyvault", "show"]),
        ("page:14", ["group", "show"]),
    ]
    assert found[1].words[-1] == "two words"
    assert (tmp_path / "etc" / "note").read_text() == "answer\n"
    assert to_fill_in(page) == ["page.md:6: <vault>"]


@pytest.mark.parametrize(
    "wrong", ["az group show --name $UNMADE", "no-such-command", "echo [ | jq -r .a", ". ./missing"]
)
def test_what_does_not_run_is_named_with_its_line(workstation: Workstation, wrong: str) -> None:
    """A name that no block has made, a program that is not there, an expression that jq does not take."""
    with pytest.raises(AssertionError, match="page:7: "):
        workstation.run("page", [(1, "true\n"), (7, f"{wrong}\n")])


def test_a_deployment_is_given_what_it_must_be(tmp_path: Path) -> None:
    """Where parameters stand on a command line, each that has no default is among them."""
    text = (INFRA / "main.bicep").read_text()
    needed = set(re.findall(r"^param (\w+) [^=\n]+$", text, re.MULTILINE))
    deployments = [call for call in asked(tmp_path) if {"sub", "--parameters"} <= set(call.words)]
    by_line = [call for call in deployments if not any(word.startswith("@") for word in call.words)]

    assert {"environmentName", "location", "access"} <= needed
    assert len(by_line) >= 2
    assert [(call.where, missing) for call in by_line if (missing := needed - _parameters(call.words))] == []


def _parameters(words: list[str]) -> set[str]:
    return {word.partition("=")[0] for word in words if "=" in word}


def test_every_command_of_the_unit_is_among_them(tmp_path: Path) -> None:
    """And those of workflows, of sentences and of hints."""
    calls = [*asked(tmp_path), *mentioned()]
    places = {call.where.partition(":")[0] for call in calls}

    assert {UNIT.name, "deploy/deploy", "deploy/what-if", "README.md", "keyturn/errors.py"} <= places
    assert {page.path.name for page in pages()} <= places
    assert len(calls) > 150
    assert json.dumps([call._asdict() for call in calls])
