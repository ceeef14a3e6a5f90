"""Every command that a hint, a problem or a next step names exists, with these options, and can be pasted."""

import pytest

from tests.docs.hints import OF_ONE_KEYRING, Said, all_texts, filled, hints, known_commands, parse, texts

SAMPLES = {
    "RUN": "notes.20261124T120000Z.abcdef",
    "KEYRING": "notes",
    "DIGEST": "a" * 64,
    "DEK": "dek-1",
}
# They look through every keyring where none is named.
LOOK_EVERYWHERE = ("keyturn list", "keyturn key-backup list", "keyturn diagnose ")
# Hints that no command would help: who follows them acts elsewhere. By how they begin.
PROSE = (
    "VALUE --help",  # of the command that was wrong; tests/keyturn/cli/test_main.py runs it
    "another approver must look at the evidence",
    "the record was changed after the freeze",  # where it is raised, commands follow
    "somebody has changed the record",
    "deploy with documentMigrations",
    "move to another key: docs/operations.md",
    "use a new Idempotency-Key",
    "wait until it has ended or its lease has expired",
    "look at the service's health",
    "look at its log",
    "compare KEYTURN_URL with the app's address",
    "compare VALUE with the app's address",
    "set VALUE; where people sign in",
    "az login",
    "see whose it is: az keyvault key list-versions",
    "chmod 600",
    "unset VALUE",
    "set it, or name the app once and for all",
    "ask again",
    "the next reminder brings a new one",
    "wait for the next message",
    # On the approver's page, whose readers have a browser; most go on with where_to_look, which names a command.
    "open the whole link",
    "open the link",
    "ask for a new link",
    "use the link",
    "go back and say beside Reject why",
    "Ask whoever runs Keyturn",
    "open the page again",
    "run the same command again",
    "stop the writers that wrap under another version",
    "look at each (VALUE)",
    "move them onto the version that you want",  # the command is named before
    "compare each head above with the one",
    "look at the run: it may have gone on",  # on the console, which links to it
)


@pytest.mark.parametrize("said", texts(), ids=lambda said: said.where)
def test_a_command_that_is_named_exists(said: Said) -> None:
    """Typer itself takes it, with every option and argument."""
    for command in said.commands:
        words = filled(command, SAMPLES)
        assert words[0] in known_commands(), command
        parse(words)


@pytest.mark.parametrize("said", texts(), ids=lambda said: said.where)
def test_a_command_about_a_keyring_names_it(said: Said) -> None:
    """So that it works where there are several, too."""
    for command in said.commands:
        context = parse(filled(command, SAMPLES))
        given = {} if context is None or command.endswith("--help") else context.params
        alone = said.where.startswith(("local/", "keyturn/cli/")) and command in OF_ONE_KEYRING
        if "keyring" in given and not (alone or command.startswith(LOOK_EVERYWHERE)):
            assert any(given.get(name) for name in ("keyring", "named", "run", "run_id")), command


def test_the_program_has_the_name_that_it_is_installed_under() -> None:
    """A module of a checkout is not what an operator runs."""
    assert [said for said in all_texts() if "-m keyturn.cli" in said.text and "exec" not in said.text] == []


def test_a_hint_names_a_command_where_there_is_one() -> None:
    """A new hint is a command, or joins the list of those that no command would help."""
    without = {f"{said.where}: {said.text}" for said in hints() if not said.commands}

    assert {prose for prose in without if not prose.partition(": ")[2].startswith(PROSE)} == set()


def test_what_is_no_command_is_refused() -> None:
    """Each mistake that a hint can hold is seen."""
    for wrong in ("diagnos dek x", "diagnose dek", "status x --wat", "repair dek x", "retry", "report x y"):
        with pytest.raises(Exception, match=r"(?i)no such|missing|unexpected|extra"):
            parse(wrong.split())


def test_commands_are_found_in_prose() -> None:
    """To the end of the line, or to the next remark."""
    said = Said("x", "wait; an approver: keyturn approve RUN --digest DIGEST; an operator: keyturn abort RUN (now)")

    assert said.commands == ["keyturn approve RUN --digest DIGEST", "keyturn abort RUN"]
