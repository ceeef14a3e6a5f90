"""Approvals by the systems of docs/deploy.md: what its snippets send, and nothing beside, decides on a rotation."""

import json
import os
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import aiohttp
import pytest
import yaml

from local.identity.tokens import person_id
from local.supervisor import LocalAzure
from local.supervisor.layout import REPOSITORY
from tests.end_to_end.app_harness import AppHarness
from tests.end_to_end.command_line import execute

pytestmark = [pytest.mark.end_to_end, pytest.mark.long]

NODE = shutil.which("node")
SCRIPT = Path(__file__).with_name("approval_request.mjs")
APPROVER = "sam@example.com"


def snippet(title: str, language: str) -> str:
    """Return the code block of this language in a section of docs/deploy.md."""
    section = (REPOSITORY / "docs" / "deploy.md").read_text().partition(f"### {title}\n")[2].partition("\n#")[0]
    [found] = re.findall(rf"```{language}\n(.*?)```", section, re.DOTALL)
    return str(found)


@pytest.mark.skipif(NODE is None and "CI" not in os.environ, reason="node is not installed")
async def test_the_business_rule_of_service_now_approves(azure: LocalAzure, app: AppHarness) -> None:
    """The request that the rule builds, with its headers alone, is taken and names the approver of the change."""
    assert NODE is not None
    waiting = await app.callers.wait_for(await app.start(), "awaiting_approval")
    given = {
        "script": snippet("ServiceNow", "javascript"),
        "secret": azure.approval_secret.removeprefix("whsec_"),
        "url": azure.layout.url("functions_host"),
        "rotation": waiting["rotationId"],
        "digest": waiting["evidenceDigest"],
        "approver": APPROVER,
        "approverId": person_id(APPROVER),
    }
    ended = subprocess.run(  # noqa: S603, ASYNC221 - the script is ours, and ends at once
        [NODE, str(SCRIPT)], input=json.dumps(given), capture_output=True, text=True, timeout=60, check=True
    )
    sent: dict[str, Any] = json.loads(ended.stdout)

    async with (
        aiohttp.ClientSession() as session,
        session.request(sent["method"], sent["url"], data=sent["body"], headers=sent["headers"]) as answer,
    ):
        status = answer.status
    answered = status == 200
    completed: dict[str, Any] = await app.callers.wait_for(waiting["rotationId"], "completed") if answered else {}

    assert json.loads(sent["body"])["approverId"] == person_id(APPROVER)
    assert (status, sent["url"]) == (200, f"{given['url']}/api/approvals")
    assert (completed["decision"]["by"], completed["decision"]["comment"]) == (APPROVER, "CHG0030002")


@pytest.mark.skipif(shutil.which("jq") is None and "CI" not in os.environ, reason="jq is not installed")
@pytest.mark.parametrize("approvers", ["", f'{{"{APPROVER}": "{person_id(APPROVER)}"}}'], ids=["unmapped", "mapped"])
async def test_the_job_of_github_approves(azure: LocalAzure, app: AppHarness, approvers: str) -> None:
    """The last two commands of the job, in the environment that the job has: no function key, no sign-in."""
    job = yaml.safe_load(snippet("GitHub", "yaml"))["jobs"]["approve"]
    command = "\n".join(job["steps"][-1]["run"].strip().splitlines()[-2:])
    waiting = await app.callers.wait_for(await app.start(), "awaiting_approval")
    values = {
        "GH_TOKEN": "",
        "KEYTURN_URL": azure.layout.url("functions_host"),
        "APPROVAL_WEBHOOK_SECRETS": azure.approval_secret,
        "ROTATION": waiting["rotationId"],
        "DIGEST": waiting["evidenceDigest"],
        "APPROVERS": approvers,
    }
    assert values.keys() == job["env"].keys()
    path = f"{azure.layout.state / 'bin'}{os.pathsep}{os.environ['PATH']}"

    ended = await execute("sh", "-c", command, cwd=REPOSITORY, env={**values, "by": APPROVER, "PATH": path})

    assert (ended.code, ended.err.partition(";")[0]) == (0, "approved")
    completed = await app.callers.wait_for(waiting["rotationId"], "completed")
    assert completed["decision"]["by"] == APPROVER
