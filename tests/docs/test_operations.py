"""docs/operations.md says what the model and the templates say."""

import re
import shlex

import pytest
from typer.main import get_command

from keyturn.cli.__main__ import app
from keyturn.contracts.base import Policy
from keyturn.key_vault.pacing import operations_per_second
from keyturn.preflight.plan import estimate
from local.supervisor.layout import REPOSITORY
from tools.capacity import KEYS, SIZES, TABLES, duration, main

PAGE = (REPOSITORY / "docs" / "operations.md").read_text()
ALERTS = (REPOSITORY / "infra" / "modules" / "monitoring" / "alerts.bicep").read_text()
BLOCK = re.compile(r"<!-- capacity (\w+) -->\n(.*?)\n<!-- end -->", re.DOTALL)


def test_every_table_is_the_models() -> None:
    """The page holds each table of the model once, with the figures of today's model."""
    assert {name: table() for name, table in TABLES.items()} == dict(BLOCK.findall(PAGE))
    assert len(TABLES) == len(BLOCK.findall(PAGE))


def test_the_command_prints_what_the_page_holds(capsys: pytest.CaptureFixture[str]) -> None:
    """What the command prints can be put into the page as it is."""
    code = main([])

    assert code == 0
    assert BLOCK.findall(capsys.readouterr().out) == BLOCK.findall(PAGE)


def test_an_unknown_table_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    """The names of the tables are told."""
    code = main(["speed"])

    assert code == 64
    assert "sweep" in capsys.readouterr().err


@pytest.mark.parametrize("rows", SIZES)
@pytest.mark.parametrize("key", KEYS)
def test_a_cell_is_what_preflight_would_plan(rows: int, key: str) -> None:
    """The time of a whole rotation and its cost are those of the plan in the report of such a store."""
    kind, size = KEYS[key]
    policy = Policy(
        key_size=size,
        vault_operations_per_second=operations_per_second(kind, size, 0.7),
    )
    plan = estimate(rows_by_version={"v": rows}, policy=policy, key_type=kind, old_key_size=size)
    assert plan.seconds is not None

    assert duration(plan.seconds) == _cell(TABLES["rotation"](), rows, key)
    assert _cell(TABLES["cost"](), rows, key) == f"${plan.cost_usd:,.2f}"


@pytest.mark.parametrize(
    ("seconds", "said"),
    [(4.4, "4 s"), (59, "59 s"), (60, "1.0 min"), (5399, "90.0 min"), (5400, "1.5 h"), (129_600, "1.5 d")],
)
def test_a_duration_is_said_in_one_unit(seconds: float, said: str) -> None:
    """Seconds, minutes, hours, days: the largest of which there is one and a half."""
    assert duration(seconds) == said


def test_every_alert_has_its_answer() -> None:
    """The page says what to do about each alert of the templates, in their order."""
    table = PAGE.partition("\n## Alerts\n")[2].partition("\n## ")[0]

    assert re.findall(r"^    name: '([a-z-]+)'$", ALERTS, re.MULTILINE) == re.findall(
        r"^\| `([a-z-]+)` \|", table, re.MULTILINE
    )


def _cell(table: str, rows: int, key: str) -> str:
    head, _, *lines = [[cell.strip() for cell in line.strip("|").split("|")] for line in table.splitlines()]
    [line] = [line for line in lines if line[0] == f"{rows:,}"]
    return line[head.index(key)]


def test_the_rows_come_back_by_commands_that_are_there() -> None:
    """Each block of the procedure is a shell's, and what it tells ``keyturn`` exists."""
    section = PAGE.partition("\n## Rows back from a point-in-time backup\n")[2].partition("\n## ")[0]
    blocks = re.findall(r"^ *```console\n(.*?)^ *```$", section, re.DOTALL | re.MULTILINE)
    commands = get_command(app).commands  # type: ignore[attr-defined]  # of a group

    assert len(blocks) == 6
    for block in blocks:
        assert shlex.split(block, comments=True)  # raises where a quotation is left open
        for line in re.findall(r"keyturn ([a-z-]+ .*)", block):
            name, *words = line.split()
            known = {option for parameter in commands[name].params for option in parameter.opts}
            assert {word for word in words if word.startswith("--") and name == "restore-rows"} <= known
