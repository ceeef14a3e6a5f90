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
PINNED = re.compile(r"- uses: ([\w.-]+/[\w.-]+)@([0-9a-f]{40}) # (v\d+\.\d+\.\d+)")
# What a job that may ask for a token runs: it fetches files of this workflow and this commit, signs, and signs in.
TRUSTED = {"actions/checkout", "actions/download-artifact", "actions/attest", "Azure/login"}


class _Strict(yaml.SafeLoader):
    """YAML in which a key may stand once only, and ``on`` is a word."""


def _mapping(loader: yaml.SafeLoader, node: yaml.MappingNode) -> dict[str, Any]:
    pairs = [(str(key.value), loader.construct_object(value, deep=True)) for key, value in node.value]
    if len(pairs) != len(dict(pairs)):
        raise yaml.constructor.ConstructorError(None, None, f"a key stands twice: {pairs}", node.start_mark)
    return dict(pairs)


yaml.add_constructor("tag:yaml.org,2002:map", _mapping, Loader=_Strict)


def _text(name: str) -> str:
    return (WORKFLOWS / f"{name}.yml").read_text()


def _workflow(name: str) -> dict[str, Any]:
    loaded: dict[str, Any] = yaml.load(_text(name), _Strict)  # noqa: S506 - derived from the safe loader
    return loaded


def _steps(workflow: dict[str, Any]) -> list[dict[str, Any]]:
    return [step for job in workflow["jobs"].values() for step in job["steps"]]


def _using(job: dict[str, Any], action: str) -> list[dict[str, Any]]:
    return [step for step in job["steps"] if step.get("uses", "").startswith(f"actions/{action}@")]


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
    """Every action is named by its commit, with the version beside it, in the workflows and in the page's examples."""
    texts = [*(_text(name) for name in NAMES), (REPOSITORY / "docs" / "deploy.md").read_text()]
    lines = [line.strip() for text in texts for line in text.splitlines() if re.search(r"\buses:", line)]
    pins = [found.groups() for line in lines if (found := PINNED.fullmatch(line))]

    assert [line for line in lines if not PINNED.fullmatch(line)] == []
    assert len(set(pins)) == len({action for action, *_ in pins}) >= len(TRUSTED)
    assert len(lines) > sum(len(_steps(_workflow(name))) for name in NAMES) / 2


def test_only_deployment_and_preview_may_ask_for_a_token() -> None:
    """Rights are read-only but for the jobs that sign and deploy, after the checks, and the preview, on its own.

    Whoever opens a pull request may change what the preview runs: it must not get the token that deploys.
    """
    jobs = {name: job for workflow in NAMES for name, job in _workflow(workflow)["jobs"].items()}

    assert [{"contents": "read"}] * len(NAMES) == [_workflow(name)["permissions"] for name in NAMES]
    assert {name: job["permissions"] for name, job in jobs.items() if "permissions" in job} == {
        "attest": {"id-token": "write", "attestations": "write"},
        "deploy": {"contents": "read", "id-token": "write", "attestations": "read"},
        "what-if": {"contents": "read", "id-token": "write", "pull-requests": "write"},
    }
    assert jobs["attest"]["needs"] == ["check", "templates"]
    assert (jobs["deploy"]["needs"], jobs["deploy"]["environment"]) == ("attest", "production")
    assert (jobs["what-if"]["needs"], jobs["what-if"]["environment"]) == ("templates", "preview")
    assert [jobs[name]["if"] for name in ("attest", "deploy")] == ["github.event_name == 'push'"] * 2
    assert "github.event_name == 'pull_request'" in jobs["what-if"]["if"]
    assert [name for name in NAMES if "secrets." in _text(name)] == []


def test_a_job_with_a_token_installs_nothing() -> None:
    """It runs the runner's own tools and a few named actions; what it needs is built in a job that has no token."""
    jobs = [
        job for name in NAMES for job in _workflow(name)["jobs"].values() if "id-token" in job.get("permissions", {})
    ]
    steps = [step for job in jobs for step in job["steps"]]

    assert {step["uses"].partition("@")[0] for step in steps if "uses" in step} == TRUSTED
    commands = " ".join(step["run"] for step in steps if "run" in step)
    assert re.findall(r"(?<![\w-])(?:azd|bicep|curl|install|make|npm|npx|pip|pipx|uv|wget)(?![\w-])", commands) == []


def test_what_is_deployed_is_what_was_tested() -> None:
    """The files that the checks left are signed, held to that signature, and deployed as they are."""
    jobs = _workflow("deploy")["jobs"]
    left = {name: [step["with"] for step in _using(jobs[name], "upload-artifact")] for name in ("check", "templates")}
    attested = _using(jobs["attest"], "attest")
    deployed = [step["run"] for step in jobs["deploy"]["steps"] if "run" in step]

    assert [each["name"] for found in left.values() for each in found] == ["keyturn", "templates"]
    assert [step["with"]["name"] for step in _using(jobs["deploy"], "download-artifact")] == ["keyturn", "templates"]
    files = [path for found in left.values() for each in found for path in each["path"].split()]
    assert [step["with"]["subject-path"].split() for step in attested] == [files]
    assert "for file in keyturn.zip main.json; do" in deployed[0]
    assert 'gh attestation verify "dist/$file" --repo "$GITHUB_REPOSITORY" --source-digest "$GITHUB_SHA"' in deployed[0]
    assert [command for command in deployed[1:] if not re.search(r"dist/(main\.json|keyturn\.zip)", command)] == []
    assert "--src dist/keyturn.zip --build-remote false" in deployed[-1]


def test_templates_are_compiled_once() -> None:
    """The required step installs one version of the compiler, and what it makes is previewed and deployed."""
    jobs = _workflow("deploy")["jobs"]
    commands = {name: [step["run"] for step in job["steps"] if "run" in step] for name, job in jobs.items()}

    assert [name for name, found in commands.items() if "bicep" in " ".join(found)] == ["templates"]
    assert re.fullmatch(r"az bicep install --version v\d+\.\d+\.\d+", commands["templates"][0])
    assert commands["templates"][1].endswith("make infra")
    assert [name for name, found in commands.items() if "--template-file dist/main.json" in " ".join(found)] == [
        "deploy",
        "what-if",
    ]


@pytest.mark.parametrize("job", ["deploy", "what-if"])
def test_a_deployment_gets_every_parameter(job: str) -> None:
    """Each variable of the parameter file is handed on: one that is not goes back to its default, sign-in for one.

    But for the channels, which hold tokens: without a value the vault keeps what it has.
    """
    parameters = (REPOSITORY / "infra" / "main.parameters.json").read_text()
    given = _workflow("deploy")["jobs"][job]["env"]
    identity = {"AZURE_CLIENT_ID", "AZURE_TENANT_ID", "AZURE_SUBSCRIPTION_ID"}
    channels = {"NOTIFICATION_URLS", "ON_CALL_URLS", "KEYTURN_APPROVER_URLS"}
    variables = set(re.findall(r"\$\{(\w+)", parameters))

    assert (identity | variables) - set(given) == channels
    assert {name: f"${{{{ vars.{name} }}}}" for name in given} == given


def test_the_long_tests_run_every_night() -> None:
    """What every change leaves out, a schedule runs."""
    nightly = _workflow("nightly")

    assert set(nightly["on"]) == {"schedule", "workflow_dispatch"}
    commands = [step["run"] for step in _steps(nightly) if "run" in step]
    assert commands == ["make test-long", "make test-browser", "make conformance", "make azure-cli"]


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
