"""The alerts look for what the app really says."""

import ast
import json
import logging
import re
from typing import Any

import pytest

from keyturn.contracts.base import RunRef
from keyturn.contracts.steps import NotifyInput
from keyturn.notifications.events import DECISIONS, EVENTS, announce
from keyturn.telemetry.names import METRICS
from keyturn.telemetry.providers import LOGGERS
from tests.infra.readme import table
from tests.infra.snapshots import INFRA, ROOT, Snapshot
from triggers import schedule

PREFIX = "keyturn-"  # of the rules' names

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
    "AppMetrics": {"ItemCount", "Max", "Name", "Properties", "Sum", "TimeGenerated"},
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
LITERAL = r"'(?:[^']|'')*'"
ARGUMENT = rf"{LITERAL}|reference\({LITERAL}, {LITERAL}\)\.\w+"
FORMAT = re.compile(rf"format\(((?:{ARGUMENT})(?:, (?:{ARGUMENT}))*)\)")
TELEMETRY: dict[str, Any] = json.loads((INFRA / "modules" / "monitoring" / "telemetry.json").read_text())


@pytest.mark.parametrize("run_id", ["notes.20260101T030000Z.abc123", "notes.m.20260101T030000Z.abc123", "notes"])
def test_events_are_found_in_what_is_logged(caplog: pytest.LogCaptureFixture, run_id: str) -> None:
    """The patterns of the queries find event and keyring in the line that the app logs for any event."""
    notice = NotifyInput(
        run=RunRef(run_id=run_id, keyring="notes", fencing_token=1),
        key="7.1:needs_attention",
        event="needs_attention",
        detail="2 rows",
    )
    with caplog.at_level(logging.INFO, logger="keyturn.events"):
        announce(notice)
        announce(notice.model_copy(update={"detail": ""}))

    assert len(caplog.messages) == 2
    for line in caplog.messages:
        assert (_first("eventPattern", line), _first("keyringPattern", line)) == ("needs_attention", "notes")


def test_alerts_wait_for_events_that_are_sent() -> None:
    """Every event that an alert waits for is one that people are told, and all that workflows tell are."""
    awaited = {event for events in TELEMETRY["events"].values() for event in events}

    assert (awaited | _sent()) - set(EVENTS) == set()


def test_the_mek_is_found_in_the_vaults_log(default: Snapshot) -> None:
    """The queries find the MEK's name in every form of address that the vault's log has, and no other key's."""
    queried = "".join([*_alerts(default).values(), _page(default)])
    [pattern] = set(re.findall(r'extract\(@"(/[^"]*keys/[^"]*)", 1, RequestUri\)', queried))

    assert [_group(pattern, uri) for uri in URIS] == ["mek", "mek", "mek", "mek", "mek-2"]


def test_operations_are_the_vaults(default: Snapshot) -> None:
    """Every operation that a query names is one that the vault writes into its log."""
    named = set(re.findall(r'"(Key[A-Z]\w+)"', "".join(_alerts(default).values())))

    assert {"KeyUnwrap", "KeyUpdate", "KeyPurge", "KeyRotationPolicySet"} <= named
    assert named - OPERATIONS == set()


def test_queries_name_columns_that_exist(default: Snapshot) -> None:
    """A query that names a table or column that is not there fails at run time only, and its alert never rings."""
    known = {*COLUMNS, *(name for columns in COLUMNS.values() for name in columns)}
    named = {
        name
        for query in (*_alerts(default).values(), *_shown(default))
        for name in re.findall(r"\b[A-Z]\w+", re.sub(r"\"[^\"]*\"|'/subscriptions/[^']*'", "", query))
    }

    assert named
    assert named - known == set()


def test_the_workbook_shows_the_apps_own_metrics(default: Snapshot) -> None:
    """Every metric is shown, and none that the app does not have; each is divided by attributes that it has."""
    attributes = {metric.name: set(metric.attributes) for metric in METRICS}
    shown: dict[str, set[str]] = {}
    for query in _shown(default):
        if query.startswith("AppMetrics "):
            [condition] = re.findall(r"where Name (?:== |in )(\([^)]+\)|\"[^\"]+\")", query)
            divided = set(re.findall(r'Properties\["([^"]+)"\]', query))
            shown |= dict.fromkeys(re.findall(r'"([^"]+)"', condition), divided)

    assert shown == attributes


def test_an_alert_says_that_an_approver_is_waited_for(default: Snapshot) -> None:
    """Both messages that ask for a decision ring, so that a wait rings again with every reminder."""
    assert set(TELEMETRY["events"]["approvalWanted"]) == DECISIONS
    assert json.dumps(sorted(DECISIONS, reverse=True), separators=(",", ":")) in _alerts(default)["approval-wanted"]


def test_the_schedule_says_that_it_was_looked_at(default: Snapshot) -> None:
    """The line whose absence is an alert is the last thing that the timer's function does, on a logger that is sent."""
    module = ast.parse((ROOT / "triggers" / "schedule.py").read_text())
    [function] = [node for node in module.body if getattr(node, "name", "") == "start_due_rotations"]
    assert isinstance(function, ast.AsyncFunctionDef)

    assert ast.unparse(function.body[-1]) == f"_log.info({TELEMETRY['scheduleLine']!r})"
    assert schedule._log.name.split(".")[0] in LOGGERS
    assert f'Message == "{TELEMETRY["scheduleLine"]}"' in _alerts(default)["overdue"]


def test_a_first_deployment_is_not_silent(default: Snapshot) -> None:
    """Where nothing was logged yet, silence is counted from when the workspace was made, and not from ever."""
    silence = _alerts(default)["overdue"].rpartition(" and ")[2]
    since = re.fullmatch(r'coalesce\(oldest, todatetime\("(.+)"\), datetime\(2000-01-01\)\) < ago\(1d\)\)', silence)

    assert since
    assert re.fullmatch(r"reference\('.+/Microsoft\.OperationalInsights/workspaces/.+\)\.createdDate", since[1])


def test_the_readme_lists_the_alerts(default: Snapshot) -> None:
    """The README's table names every alert, in the templates' order."""
    assert [row[0].strip("`") for row in table("Alerts")] == list(_alerts(default))


def test_every_event_of_the_telemetry_file_is_asked_for(default: Snapshot) -> None:
    """Each group of events stands in exactly one alert's query."""
    queries = [query.replace(" ", "") for query in _alerts(default).values()]
    wanted = {group: json.dumps(events, separators=(",", ":")) for group, events in TELEMETRY["events"].items()}

    assert dict.fromkeys(wanted, 1) == {
        group: sum(f"dynamic({events})" in query for query in queries) for group, events in wanted.items()
    }


def test_the_workbook_is_json_and_filled_in(default: Snapshot) -> None:
    """What the template puts into the workbook leaves it valid JSON, and no placeholder of ours is left over."""
    source = (INFRA / "modules" / "monitoring" / "workbook.json").read_text()
    page = default.one("Microsoft.Insights/workbooks").properties["serializedData"]
    placeholders = set(re.findall(r"\{(\w+)\}", source))

    assert placeholders
    assert placeholders & set(re.findall(r"\{(\w+)\}", page)) == set()
    assert json.loads(page)["items"]


def _first(pattern: str, line: str) -> str | None:
    return _group(TELEMETRY[pattern], line)


def _group(pattern: str, text: str) -> str | None:
    found = re.search(pattern, text)
    return found[1] if found else None


def _alerts(snapshot: Snapshot) -> dict[str, str]:
    """Return each alert's query by its name."""
    return {
        rule.name.removeprefix(PREFIX): _resolved(criterion["query"])
        for rule in snapshot.of_type("Microsoft.Insights/scheduledQueryRules")
        for criterion in rule.properties["criteria"]["allOf"]
    }


def _resolved(query: str) -> str:
    """Return the text that an expression of ``format`` calls makes; what only Azure can fill in stays a reference."""
    while call := FORMAT.search(query):
        template, *values = (_unquoted(argument) for argument in re.findall(ARGUMENT, call[1]))
        text = template.format(*values).replace("'", "''")
        query = f"{query[: call.start()]}'{text}'{query[call.end() :]}"
    return _unquoted(query[1:-1]) if query.startswith("['") else query


def _unquoted(argument: str) -> str:
    return argument[1:-1].replace("''", "'") if argument.startswith("'") else argument


def _page(snapshot: Snapshot) -> str:
    """Return the workbook's text, without the escapes of JSON."""
    return str(snapshot.one("Microsoft.Insights/workbooks").properties["serializedData"]).replace('\\"', '"')


def _shown(snapshot: Snapshot) -> list[str]:
    """Return the workbook's queries."""
    workbook = json.loads(snapshot.one("Microsoft.Insights/workbooks").properties["serializedData"])
    return [item["content"]["query"] for item in workbook["items"] if "query" in item["content"]]


def _sent() -> set[str]:
    """Return every literal event of a ``notify`` call in the workflows."""
    sent = set()
    for path in (ROOT / "orchestrators").rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr == "notify":
                literals = [item.value for item in node.args[:1] if isinstance(item, ast.Constant)]
                sent |= {value for value in literals if isinstance(value, str)}
    return sent
