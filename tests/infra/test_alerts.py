"""The alerts look for what the app really says."""

import ast
import json
import logging
import re
from typing import Any

import pytest
from keyturn.telemetry.providers import LOGGERS

from keyturn.contracts import NotifyInput, RunRef
from keyturn.notifications.events import EVENTS, announce
from tests.infra.bicep import INFRA, ROOT, Template
from tests.infra.readme import table
from triggers import schedule

ALERTS = "modules/monitoring/alerts.bicep"

# The names of operations on keys. Source: the table of operation names in "Azure Key Vault logging".
OPERATIONS = {
    f"Key{verb}"
    for verb in (
        *("Create", "Get", "Import", "Delete", "Sign", "Verify", "Wrap", "Unwrap", "Encrypt", "Decrypt", "Update"),
        *("List", "ListVersions", "Purge", "Backup", "Restore", "Recover", "GetDeleted", "ListDeleted"),
        *("Rotate", "RotateIfDue", "RotationPolicyGet", "RotationPolicySet"),
    )
}
# The columns that queries may name, by table. Source: the reference of tables of Azure Monitor Logs.
COLUMNS = {
    "AppDependencies": {"DependencyType", "DurationMs", "Name", "Success", "TimeGenerated"},
    "AppRequests": {"DurationMs", "Name", "Success", "TimeGenerated"},
    "AppTraces": {"Message", "TimeGenerated"},
    "AZKVAuditLogs": {"HttpStatusCode", "Identity", "IsRbacAuthorized", "OperationName", "RequestUri", "TimeGenerated"},
}
URIS = [
    "https://kv.vault.azure.net/keys/mek/create?api-version=2025-07-01",
    "https://kv.vault.azure.net/keys/mek/0123456789abcdef/unwrapkey?api-version=2025-07-01",
    "https://kv.vault.azure.net/keys/mek?api-version=2025-07-01",
    "https://kv.vault.azure.net/deletedkeys/mek?api-version=2025-07-01",
    "https://kv.vault.azure.net/keys/mek-2/rotationpolicy?api-version=2025-07-01",
]
TELEMETRY: dict[str, Any] = json.loads((INFRA / "modules" / "monitoring" / "telemetry.json").read_text())


@pytest.mark.parametrize("run_id", ["notes.20260101T030000Z.abc123", "notes.m.20260101T030000Z.abc123"])
def test_events_are_found_in_what_is_logged(caplog: pytest.LogCaptureFixture, run_id: str) -> None:
    """The patterns of the queries find event and keyring in the line that the app logs for an event of any run."""
    told = NotifyInput(
        run=RunRef(run_id=run_id, keyring="notes", fencing_token=1),
        key="7.1:needs_attention",
        event="needs_attention",
        detail="2 rows",
    )
    with caplog.at_level(logging.INFO, logger="keyturn.events"):
        announce(told)
        announce(told.model_copy(update={"detail": ""}))

    assert len(caplog.messages) == 2
    for line in caplog.messages:
        assert (_first("eventPattern", line), _first("keyringPattern", line)) == ("needs_attention", "notes")


def test_events_are_those_that_are_told() -> None:
    """Every event that an alert waits for is one that people are told, and all that workflows tell are."""
    awaited = {event for events in TELEMETRY["events"].values() for event in events}

    assert (awaited | _told()) - set(EVENTS) == set()


def test_the_mek_is_found_in_the_vaults_log(templates: dict[str, Template]) -> None:
    """The queries find the MEK's name in every form of address that the vault's log has, and no other key's."""
    [pattern] = set(re.findall(r'extract\(@"(/[^"]*keys/[^"]*)", 1, RequestUri\)', _queried(templates)))

    assert [_group(pattern, uri) for uri in URIS] == ["mek", "mek", "mek", "mek", "mek-2"]


def test_operations_are_the_vaults(templates: dict[str, Template]) -> None:
    """Every operation that a query names is one that the vault writes into its log."""
    named = set(re.findall(r'"(Key[A-Z]\w+)"', templates[ALERTS].text))

    assert {"KeyUnwrap", "KeyUpdate", "KeyPurge", "KeyRotationPolicySet"} <= named
    assert named - OPERATIONS == set()


def test_queries_name_columns_that_exist(templates: dict[str, Template]) -> None:
    """A query that names a table or column that is not there fails at run time only, and its alert never rings."""
    known = {*COLUMNS, *(name for columns in COLUMNS.values() for name in columns)}
    alerts = [alert["query"] for alert in templates[ALERTS].variable("alerts")]
    parts = [templates[ALERTS].variable(name) for name in ("events", "vaultLog", "mekLog", "caller", "scheduleSilent")]
    workbook = json.loads((INFRA / "modules" / "monitoring" / "workbook.json").read_text())
    shown = [item["content"]["query"] for item in workbook["items"] if "query" in item["content"]]
    named = {
        name
        for query in (*alerts, *parts, *shown)
        for name in re.findall(r"\b[A-Z]\w+", re.sub(r'"[^"]*"|\$\{[^}]*\}', "", query))
    }

    assert named
    assert named - known == set()


def test_the_schedule_says_that_it_was_looked_at(templates: dict[str, Template]) -> None:
    """The line whose absence is an alert is the last thing that the timer's function does, on a logger that is sent."""
    module = ast.parse((ROOT / "triggers" / "schedule.py").read_text())
    [function] = [node for node in module.body if isinstance(node, ast.AsyncFunctionDef)]

    assert ast.unparse(function.body[-1]) == f"_log.info({TELEMETRY['scheduleLine']!r})"
    assert schedule._log.name.split(".")[0] in LOGGERS
    assert 'Message == "${telemetry.scheduleLine}"' in templates[ALERTS].variable("scheduleSilent")


def test_the_readme_lists_the_alerts(templates: dict[str, Template]) -> None:
    """The README's table names every alert, in the templates' order."""
    alerts = [alert["name"] for alert in templates[ALERTS].variable("alerts")]

    assert [row[0].strip("`") for row in table("Alerts")] == alerts


def test_every_event_of_the_telemetry_file_is_asked_for(templates: dict[str, Template]) -> None:
    """Each group of events stands in exactly one alert's query."""
    queries = [alert["query"] for alert in templates[ALERTS].variable("alerts")]

    assert dict.fromkeys(TELEMETRY["events"], 1) == {
        group: sum(f"telemetry.events.{group})" in query for query in queries) for group in TELEMETRY["events"]
    }


def test_the_workbook_is_json_and_filled_in(templates: dict[str, Template]) -> None:
    """What the template puts into the workbook leaves it valid JSON, and no placeholder of ours is left over."""
    page = (INFRA / "modules" / "monitoring" / "workbook.json").read_text()
    placeholders = set(re.findall(r"\{(\w+)\}", page))
    replaced = set(re.findall(r"'\{(\w+)\}'", templates["modules/monitoring/workbook.bicep"].text))
    for name in placeholders:
        page = page.replace(f"{{{name}}}", TELEMETRY.get(name, "/subscriptions/x"))

    assert placeholders == replaced
    assert json.loads(page)["items"]


def _first(pattern: str, line: str) -> str | None:
    return _group(TELEMETRY[pattern], line)


def _group(pattern: str, text: str) -> str | None:
    found = re.search(pattern, text)
    return found[1] if found else None


def _queried(templates: dict[str, Template]) -> str:
    """Return the texts that hold the queries, without the escapes of JSON."""
    workbook = (INFRA / "modules" / "monitoring" / "workbook.json").read_text()
    return templates[ALERTS].text + workbook.replace('\\"', '"')


def _told() -> set[str]:
    """Return every literal event of a ``notify`` call in the workflows."""
    told = set()
    for path in (ROOT / "orchestrators").rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr == "notify":
                told |= {item.value for item in node.args[:1] if isinstance(item, ast.Constant)}
    return told
