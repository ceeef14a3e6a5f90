"""The walk itself, over pages made here: a shell that begins empty, stops at what fails, and is one from top to end."""

from collections.abc import Callable
from pathlib import Path

import pytest

from tests.docs.runbook import Runbook
from tests.docs.walk import StoppedError, commands_of, walk

type Write = Callable[[str], Runbook]

# The shells are subprocesses.
PAGE = """# A page

## First

```sh
# where we are
NAME='two words'
export NAME
cat <<EOF > note
$NAME
EOF
```

```console
false
```

## Second

```sh
test "$(cat note)" = "$NAME" &&
  printf '%s\\n' \\
    "found $NAME"
if test -e told; then
  cat told
fi
```
"""


@pytest.fixture
def write(tmp_path: Path) -> Write:
    """Write a page and return it."""

    def written(text: str) -> Runbook:
        (tmp_path / "page.md").write_text(text)
        return Runbook("page.md", tmp_path)

    return written


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Where the shell is opened."""
    made = tmp_path / "desk"
    made.mkdir()
    return made


def test_a_command_is_what_a_person_pastes(write: Write) -> None:
    """Over several lines where it goes over several, with the number of the first; neither remarks nor other blocks."""
    found = commands_of(write(PAGE))

    assert [(each.section, each.line, each.text.splitlines()[0]) for each in found] == [
        ("First", 7, "NAME='two words'"),
        ("First", 8, "export NAME"),
        ("First", 9, "cat <<EOF > note"),
        ("Second", 21, 'test "$(cat note)" = "$NAME" &&'),
        ("Second", 24, "if test -e told; then"),
    ]


async def test_one_shell_from_top_to_end(write: Write, folder: Path) -> None:
    """What a section made is there in the next, and so is what a test did between them."""
    async with walk(write(PAGE), folder) as walked:
        await walked.through("First")
        (folder / "told").write_text("told\n")
        name = await walked.value("NAME")
        said = await walked.through("Second")

    assert (name, said) == ("two words", "found two words\ntold\n")
    assert walked.said("First") == ""


async def test_the_shell_begins_empty(write: Write, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither the variables of this process, nor any but these two, are there."""
    monkeypatch.setenv("KEYTURN_URL", "http://localhost:1")

    async with walk(write("## Look\n\n```sh\nenv\n```\n"), folder) as walked:
        said = await walked.through("Look")

    assert {line.partition("=")[0] for line in said.splitlines()} - {"PWD", "OLDPWD"} == {"PATH", "HOME"}


@pytest.mark.parametrize(
    "command", ["false", 'echo "$NOBODYS"', ". ./missing.env", "exit 3", "test 1 = 2 && true", "no-such-command"]
)
async def test_what_fails_is_named_with_its_line(write: Write, folder: Path, command: str) -> None:
    """The walk ends there: nothing behind it is run."""
    page = write(f"## Begin\n\n```sh\ntrue\n{command}\ntouch behind\n```\n")

    with pytest.raises(StoppedError, match=r"page\.md:5 \(Begin\): ended ") as stopped:
        async with walk(page, folder) as walked:
            await walked.through("Begin")

    assert command in str(stopped.value)
    assert not (folder / "behind").exists()


async def test_a_page_is_walked_to_its_end(write: Write, folder: Path) -> None:
    """A walk that leaves something out has shown nothing of the page."""
    with pytest.raises(AssertionError, match="not run"):
        async with walk(write(PAGE), folder) as walked:
            await walked.through("First")


async def test_a_section_is_not_run_twice(write: Write, folder: Path) -> None:
    """Nor one that is not there."""
    async with walk(write(PAGE), folder) as walked:
        await walked.through("Second")
        for section in ("First", "Third"):
            with pytest.raises(AssertionError, match="nothing is left"):
                await walked.through(section)


async def test_a_value_that_no_command_made(write: Write, folder: Path) -> None:
    """Is not taken for an empty one."""
    async with walk(write("## None\n"), folder) as walked:
        with pytest.raises(StoppedError, match="not set"):
            await walked.value("RUN")


def test_a_block_that_ends_within_a_command(write: Write) -> None:
    """Pasted, it would wait for more."""
    with pytest.raises(AssertionError, match=r"page\.md:4: the block ends within a command"):
        commands_of(write("## Begin\n\n```sh\nif true; then\n```\n"))
