"""host.json and azure.yaml: nothing misspelt, nothing that the templates contradict."""

import importlib.metadata
import json
import re
from typing import Annotated, Literal

import yaml
from pydantic import BaseModel, ConfigDict, Field

from keyturn.contracts.base import Policy
from tests.infra.snapshots import INFRA, ROOT, Snapshot, template_paths

# The first public bundle whose durable extension (3.10.1) opens its gRPC server for Python and which carries the
# scheduler's provider. Source: docs/adr/0001-durable-functions-release-candidate.md.
LOWEST_BUNDLE = (4, 33, 0)


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)


class _Logging(_Strict):
    logLevel: dict[str, Literal["Trace", "Debug", "Information", "Warning", "Error", "Critical", "None"]]  # noqa: N815 - the host's name


class _Bundle(_Strict):
    id: Literal["Microsoft.Azure.Functions.ExtensionBundle"]  # the public channel
    version: Annotated[str, Field(pattern=r"^\[\d+\.\d+\.\d+, \d+\.\d+\.\d+\)$")]


class _Http(_Strict):
    routePrefix: str  # noqa: N815 - the host's name


class _Storage(_Strict):
    type: Literal["azureManaged"]
    connectionStringName: str  # noqa: N815 - the host's name


class _Tracing(_Strict):
    distributedTracingEnabled: bool  # noqa: N815 - the host's name
    version: Literal["V2"]


class _DurableTask(_Strict):
    hubName: Annotated[str, Field(pattern=r"^%\w+%$")]  # noqa: N815 - the host's name
    storageProvider: _Storage  # noqa: N815 - the host's name
    maxConcurrentActivityFunctions: Annotated[int, Field(ge=1)]  # noqa: N815 - the host's name
    maxConcurrentOrchestratorFunctions: Annotated[int, Field(ge=1)]  # noqa: N815 - the host's name
    tracing: _Tracing


class _Extensions(_Strict):
    http: _Http
    durableTask: _DurableTask  # noqa: N815 - the host's name


class _Host(_Strict):
    """The part of the host.json reference that the app uses; the host ignores a misspelt name, this does not."""

    version: Literal["2.0"]
    telemetryMode: Literal["OpenTelemetry"]  # noqa: N815 - the host's name
    functionTimeout: Annotated[str, Field(pattern=r"^\d{2}:\d{2}:\d{2}$")]  # noqa: N815 - the host's name
    logging: _Logging
    extensionBundle: _Bundle  # noqa: N815 - the host's name
    extensions: _Extensions


def _host() -> _Host:
    return _Host.model_validate(json.loads((ROOT / "host.json").read_text()))


def test_host_json_has_the_hosts_form() -> None:
    """Every property of host.json is one that the host knows, with a value that it takes."""
    assert _host().version == "2.0"


def test_the_bundle_speaks_the_workers_protocol() -> None:
    """No bundle is allowed in which durable functions for Python 2.x do not run, and no next major version."""
    lowest, above = _host().extensionBundle.version.strip("[)").split(", ")

    assert tuple(int(part) for part in lowest.split(".")) == LOWEST_BUNDLE
    assert above == "5.0.0"


def test_the_host_writes_no_query_down() -> None:
    """ASP.NET Core's log line of a request has the query, and with it an approver's link: nothing asks for it."""
    levels = _host().logging.logLevel
    loud = {"Trace", "Debug", "Information"}
    text = "".join(path.read_text() for path in template_paths())

    assert levels["Microsoft.AspNetCore"] == "Warning"
    assert [name for name, level in levels.items() if name.startswith("Microsoft") and level in loud] == []
    assert "URL_QUERY_REDACTION" not in text
    assert "AppServiceHTTPLogs" not in text


def test_one_instance_holds_a_whole_window(default: Snapshot) -> None:
    """The largest window of pages fits into one instance, so the default cap leaves room and multiplies nothing."""
    [bounds] = [field for name, field in Policy.model_fields.items() if name == "window_pages"]
    largest = next(item.le for item in bounds.metadata if hasattr(item, "le"))

    assert largest <= _host().extensions.durableTask.maxConcurrentActivityFunctions
    assert default.app.properties["functionAppConfig"]["scaleAndConcurrency"]["maximumInstanceCount"] == 4


def test_azd_finds_the_templates_and_the_app(default: Snapshot) -> None:
    """azure.yaml names templates that exist and one service, which the deployed app carries as its tag."""
    project = yaml.safe_load((ROOT / "azure.yaml").read_text())
    [(service, described)] = project["services"].items()

    assert ROOT / project["infra"]["path"] / f"{project['infra']['module']}.bicep" == INFRA / "main.bicep"
    assert {name: described[name] for name in ("project", "language", "host")} == {
        "project": ".",
        "language": "python",
        "host": "function",
    }
    assert default.app.body["tags"] == {"azd-env-name": "default", "azd-service-name": service}
    assert default.one("Microsoft.Resources/resourceGroups").body["tags"] == {"azd-env-name": "default"}
    assert f"SERVICE_{service.upper()}_NAME" in default.outputs


def test_azd_ships_the_bundle_as_it_is() -> None:
    """What azd packs is what ``make bundle`` has unpacked, packages included, and Azure is asked to build nothing."""
    [described] = yaml.safe_load((ROOT / "azure.yaml").read_text())["services"].values()

    assert (described["dist"], described["remoteBuild"]) == ("dist/keyturn", False)
    assert described["hooks"] == {"prepackage": {"shell": "sh", "run": "make bundle"}}
    assert "\nbundle: " in (ROOT / "Makefile").read_text()


def test_sign_in_leaves_out_routes_that_exist(existing: Snapshot) -> None:
    """The routes that need no sign-in are routes of the app, under the host's prefix, and ask for no key either."""
    validation = existing.one("Microsoft.Web/sites/config").properties["globalValidation"]
    prefix = _host().extensions.http.routePrefix
    triggers = "".join(path.read_text() for path in (ROOT / "triggers").glob("*.py"))
    routes = [path.removeprefix(f"/{prefix}/") for path in validation["excludedPaths"]]

    assert validation["requireAuthentication"] is True
    open_routes = re.findall(r'route="([^"]+)".*AuthLevel\.ANONYMOUS\)', triggers)
    assert set(routes) - set(open_routes) == set()


def test_the_engine_of_workflows_is_pinned() -> None:
    """azure-functions-durable asks for at least a version, and a newer one may not replay a history."""
    [pin] = re.findall(r"^durabletask==(\S+) +# \S", (ROOT / "requirements.txt").read_text(), flags=re.MULTILINE)

    assert pin == importlib.metadata.version("durabletask")
