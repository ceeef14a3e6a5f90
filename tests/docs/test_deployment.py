"""The workflows, the roles and the links of the pages about deployment."""

import json
import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from keyturn.access.roles import Role
from local.supervisor.layout import REPOSITORY

WORKFLOWS = REPOSITORY / ".github" / "workflows"
NAMES = ("deploy", "nightly")
PAGES = [REPOSITORY / "README.md", *(REPOSITORY / "docs").rglob("*.md"), REPOSITORY / "infra" / "README.md"]
PINNED = re.compile(r"[\w.-]+/[\w.-]+@v\d+\.\d+\.\d+")


class _Strict(yaml.SafeLoader):
    """YAML in which a key may stand once only, and ``on`` is a word."""


def _mapping(loader: _Strict, node: yaml.MappingNode) -> dict[str, Any]:
    pairs = [(str(key.value), loader.construct_object(value, deep=True)) for key, value in node.value]
    if len(pairs) != len(dict(pairs)):
        raise yaml.constructor.ConstructorError(None, None, f"a key stands twice: {pairs}", node.start_mark)
    return dict(pairs)


_Strict.add_constructor("tag:yaml.org,2002:map", _mapping)


def _text(name: str) -> str:
    return (WORKFLOWS / f"{name}.yml").read_text()


def _workflow(name: str) -> dict[str, Any]:
    loaded: dict[str, Any] = yaml.load(_text(name), _Strict)  # noqa: S506 - derived from the safe loader
    return loaded


def _steps(workflow: dict[str, Any]) -> list[dict[str, Any]]:
    return [step for job in workflow["jobs"].values() for step in job["steps"]]


def test_no_workflow_is_left_out() -> None:
    """The workflows are those that these tests look at."""
    assert {file.stem for file in WORKFLOWS.iterdir()} == set(NAMES)


@pytest.mark.parametrize("name", NAMES)
def test_a_workflow_is_plain_yaml(name: str) -> None:
    """No tabs, no blanks at the ends, no line beyond 140 characters, one newline at the end."""
    text = _text(name)

    assert "\t" not in text
    assert [line for line in text.splitlines() if line != line.rstrip() or len(line) > 140] == []
    assert text.endswith("\n")
    assert not text.endswith("\n\n")


def test_actions_are_pinned() -> None:
    """Every action is named with an exact version, in the workflows and in the examples of the page."""
    used = [step["uses"] for name in NAMES for step in _steps(_workflow(name)) if "uses" in step]
    shown = re.findall(r"uses: (\S+)", (REPOSITORY / "docs" / "deploy.md").read_text())

    assert [action for action in (*used, *shown) if not PINNED.fullmatch(action)] == []
    assert len(used) > 3


def test_only_deployment_and_preview_may_ask_for_a_token() -> None:
    """Rights are read-only but for the job that deploys, after the checks, and the preview, in its own environment.

    Whoever opens a pull request may change what the preview runs: it must not get the token that deploys.
    """
    jobs = {name: job for workflow in NAMES for name, job in _workflow(workflow)["jobs"].items()}

    assert [{"contents": "read"}] * len(NAMES) == [_workflow(name)["permissions"] for name in NAMES]
    assert {name: job["permissions"] for name, job in jobs.items() if "permissions" in job} == {
        "deploy": {"contents": "read", "id-token": "write"},
        "what-if": {"contents": "read", "id-token": "write", "pull-requests": "write"},
    }
    assert (jobs["deploy"]["needs"], jobs["deploy"]["environment"]) == (["check", "templates"], "production")
    assert (jobs["what-if"]["needs"], jobs["what-if"]["environment"]) == ("templates", "preview")
    assert jobs["deploy"]["if"] == "github.event_name == 'push'"
    assert "github.event_name == 'pull_request'" in jobs["what-if"]["if"]
    assert [name for name in NAMES if "secrets." in _text(name)] == []


def test_templates_are_checked_by_one_version_of_the_compiler() -> None:
    """The required step and the preview install the same version, whatever the runner's image has."""
    jobs = _workflow("deploy")["jobs"]
    commands = {
        name: [step["run"] for step in jobs[name]["steps"] if "run" in step] for name in ("templates", "what-if")
    }
    installed = [
        command
        for named in commands.values()
        for command in named
        if command.startswith("az bicep install --version v")
    ]

    assert commands["templates"][-1].endswith("make infra")
    assert (len(installed), len(set(installed))) == (2, 1)


@pytest.mark.parametrize("job", ["deploy", "what-if"])
def test_a_deployment_gets_every_parameter(job: str) -> None:
    """Each variable of the parameter file is handed on: one that is not goes back to its default, sign-in for one."""
    parameters = (REPOSITORY / "infra" / "main.parameters.json").read_text()
    given = _workflow("deploy")["jobs"][job]["env"]
    identity = {"AZURE_CLIENT_ID", "AZURE_TENANT_ID", "AZURE_SUBSCRIPTION_ID"}

    assert (identity | set(re.findall(r"\$\{(\w+)", parameters))) - set(given) == set()
    assert {name: f"${{{{ vars.{name} }}}}" for name in given} == given


def test_the_long_tests_run_every_night() -> None:
    """What every change leaves out, a schedule runs."""
    nightly = _workflow("nightly")

    assert set(nightly["on"]) == {"schedule", "workflow_dispatch"}
    assert [step["run"] for step in _steps(nightly) if "run" in step] == ["make test-long", "make test-browser"]


def test_the_checks_are_those_of_every_change() -> None:
    """What runs everywhere runs here, and the audit of packages as well."""
    commands = [step["run"] for step in _workflow("deploy")["jobs"]["check"]["steps"] if "run" in step]
    targets = re.findall(r"^([\w-]+):", (REPOSITORY / "Makefile").read_text(), re.MULTILINE)

    assert commands == [".ci/run", "make audit", "make package"]
    assert {"audit", "package", "sbom", "test-long"} <= set(targets)
    assert (REPOSITORY / ".ci" / "run").stat().st_mode & 0o111


def test_the_app_roles_are_those_of_the_app() -> None:
    """The file for the app registration has every role that a route asks for, each with an id of its own."""
    roles = json.loads((REPOSITORY / "docs" / "app-roles.json").read_text())

    assert set(Role) == {role["value"] for role in roles}
    assert len(roles) == len({role["id"] for role in roles})
    assert all(role["isEnabled"] for role in roles)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.relative_to(REPOSITORY).as_posix())
def test_links_lead_somewhere(page: Path) -> None:
    """Every relative link names a file that is there, and a heading that it has."""
    broken = []
    for target in re.findall(r"\]\((?!https?:)([^)\s]+)\)", page.read_text()):
        name, _, heading = target.partition("#")
        file = (page.parent / name).resolve() if name else page
        if not file.exists() or (heading and heading not in _headings(file)):
            broken.append(target)

    assert broken == []


def _headings(page: Path) -> set[str]:
    titles = re.findall(r"^#+ (.+)$", page.read_text(), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-") for title in titles}
