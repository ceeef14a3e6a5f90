"""The files beside the runbook of secrets: manifests, the compose file, units of systemd, and the keys of tokens."""

import configparser
import copy
import json
import re
from collections.abc import Callable
from pathlib import Path
from string import Template
from typing import Any

import jsonschema
import kubernetes_validate
import pytest
import yaml

from local.backend.settings import BackendSettings
from tests.docs.runbook import RUNBOOKS, Runbook

SECRETS = RUNBOOKS / "secrets"
SCHEMA = json.loads((Path(__file__).parent / "secret_provider_class.schema.json").read_text())
KUBERNETES = kubernetes_validate.latest_version()
GUID = "3b8f1c1e-52a4-4d0c-9d5e-7a6b5c4d3e2f"  # made up
# What the page says is filled in, by name.
VALUES = {
    "BACKEND_CLIENT_ID": GUID,
    "BACKEND_IMAGE": "registry.example.com/notes@sha256:" + "0" * 64,
    "AZURE_TENANT_ID": GUID,
    "AZURE_KEYVAULT_URL": "https://kv-notes.vault.azure.net/",
    "VAULT": "kv-notes",
    "COSMOS_ENDPOINT": "https://cosmos-notes.documents.azure.com/",
    "COSMOS_DATABASE": "app",
    "DEK_CONTAINER": "dek_store",
    "FIELD_ENCRYPT_MEK_NAME": "notelett-mek",
}
# What the environment of a container may have beside the backend's settings: who it is, and where a file is.
BESIDE = {"AZURE_CLIENT_ID", "TOKEN_KEYS_FILE"}
FILES = "/run/secrets"

type Manifest = dict[str, Any]


def manifests(name: str) -> list[Manifest]:
    """Return the documents of a file, filled in as envsubst does; a name that the page does not give is a KeyError."""
    return list(yaml.safe_load_all(Template((SECRETS / name).read_text()).substitute(VALUES)))


def of_kind(found: list[Manifest], kind: str) -> Manifest:
    """Return the one manifest of a kind."""
    [manifest] = [each for each in found if each["kind"] == kind]
    return manifest


def validate(manifest: Manifest) -> None:
    """Hold a manifest to the schema of its kind; raises jsonschema.ValidationError."""
    if manifest["kind"] != "SecretProviderClass":
        kubernetes_validate.validate(manifest, KUBERNETES, strict=True)
        return
    jsonschema.Draft202012Validator(SCHEMA).validate(manifest)
    held = yaml.safe_load(manifest["spec"]["parameters"]["objects"])
    _held_to("objects", held)
    for each in held["array"]:
        _held_to("object", yaml.safe_load(each))


def _held_to(definition: str, value: Any) -> None:
    schema = {"$ref": f"#/$defs/{definition}", "$defs": SCHEMA["$defs"]}
    jsonschema.Draft202012Validator(schema).validate(value)


def container_of(deployment: Manifest) -> Manifest:
    """Return the one container of a deployment."""
    [container] = deployment["spec"]["template"]["spec"]["containers"]
    return dict(container)


def environment_of(name: str) -> dict[str, str]:
    """Return what a file gives the backend as its environment."""
    if name == "compose.yaml":
        return dict(compose()["services"]["backend"]["environment"])
    return {each["name"]: each["value"] for each in container_of(of_kind(manifests(name), "Deployment"))["env"]}


def compose() -> Manifest:
    """Return the compose file, with ${NAME:?...} filled in as compose does."""
    text = re.sub(r"\$\{(\w+):\?[^}]*\}", lambda found: VALUES[found[1]], (SECRETS / "compose.yaml").read_text())
    found: Manifest = yaml.safe_load(text)
    return found


@pytest.mark.parametrize("name", ["aks-identity.yaml", "aks-csi.yaml"])
def test_manifests_are_valid(name: str) -> None:
    """Every document of the file, with nothing in it that its kind does not know."""
    found = manifests(name)
    assert len(found) > 1
    for manifest in found:
        validate(manifest)


def _misspelt(manifest: Manifest) -> None:
    manifest["spec"]["provder"] = "azure"


def _without_tenant(manifest: Manifest) -> None:
    del manifest["spec"]["parameters"]["tenantID"]


def _of_another_type(manifest: Manifest) -> None:
    manifest["spec"]["parameters"]["objects"] = "array:\n  - |\n    objectName: a\n    objectType: password\n"


def _not_a_list(manifest: Manifest) -> None:
    manifest["spec"]["parameters"]["objects"] = "- objectName: a\n"


@pytest.mark.parametrize("change", [_misspelt, _without_tenant, _of_another_type, _not_a_list])
def test_the_schema_refuses(change: Callable[[Manifest], None]) -> None:
    """What the cluster would take, and the provider then not find."""
    manifest = copy.deepcopy(of_kind(manifests("aks-csi.yaml"), "SecretProviderClass"))
    change(manifest)

    with pytest.raises(jsonschema.ValidationError):
        validate(manifest)


def test_a_misspelt_manifest_is_refused() -> None:
    """A property that a Deployment does not have."""
    manifest = of_kind(manifests("aks-identity.yaml"), "Deployment")
    container_of(manifest)["securityContext"]["readOnlyRootFileSystem"] = True

    with pytest.raises(jsonschema.ValidationError):
        validate(manifest)


def test_the_pod_has_the_identity() -> None:
    """Annotation, label, service account and namespace fit each other; the credential on the page is for these."""
    found = manifests("aks-identity.yaml")
    account, deployment = of_kind(found, "ServiceAccount"), of_kind(found, "Deployment")
    pod = deployment["spec"]["template"]

    assert account["metadata"]["annotations"] == {"azure.workload.identity/client-id": GUID}
    assert pod["metadata"]["labels"]["azure.workload.identity/use"] == "true"
    assert pod["spec"]["serviceAccountName"] == account["metadata"]["name"]
    [namespace] = {each["metadata"]["namespace"] for each in (account, deployment)}
    subject = f"--subject system:serviceaccount:{namespace}:{account['metadata']['name']}"
    assert subject in Runbook("SECRET_MANAGEMENT.md").text


def test_the_service_leads_to_the_pods() -> None:
    """By the pods' label, to the port that the container has."""
    found = manifests("aks-identity.yaml")
    service, deployment = of_kind(found, "Service"), of_kind(found, "Deployment")

    assert service["spec"]["selector"] == deployment["spec"]["selector"]["matchLabels"]
    assert [port["targetPort"] for port in service["spec"]["ports"]] == [
        port["containerPort"] for port in container_of(deployment)["ports"]
    ]


def test_a_pattern_finds_what_it_mounts() -> None:
    """The page makes the secret and the right to it before the first pattern that mounts it; so too the host's file."""
    page = Runbook("SECRET_MANAGEMENT.md").text
    name = yaml.safe_load(
        yaml.safe_load(of_kind(manifests("aks-csi.yaml"), "SecretProviderClass")["spec"]["parameters"]["objects"])[
            "array"
        ][0]
    )["objectName"]
    steps = [
        f'az keyvault secret set --vault-name "$VAULT" --name {name} --file',
        f'--scope "$VAULT_ID/secrets/{name}"',
        "az aks get-credentials",
        "secrets/aks-identity.yaml | kubectl apply",
        "secrets/aks-csi.yaml | kubectl apply",
        "HOST_GROUP=rg-notes BACKEND_IMAGE=",
        "az vm identity assign",
        "systemctl enable --now notes-secrets.service",
        "docker compose --env-file notes.env",
    ]

    assert [step for step in steps if step not in page] == []
    assert sorted(steps, key=page.index) == steps
    [made] = re.findall(r"grep -E '\^\(([A-Z_|]+)\)=' keyturn\.env > notes\.env\nprintf '([^']+)'", page)
    written = set(made[0].split("|")) | set(re.findall(r"([A-Z_]+)=%s", made[1]))
    assert set(re.findall(r"\$\{(\w+):", (SECRETS / "compose.yaml").read_text())) <= written


def test_the_volume_is_all_that_the_driver_adds() -> None:
    """The second deployment is the first one, with a volume of the provider class, read-only, and where its file is."""
    plain = of_kind(manifests("aks-identity.yaml"), "Deployment")
    found = manifests("aks-csi.yaml")
    provider, mounted = of_kind(found, "SecretProviderClass"), of_kind(found, "Deployment")
    pod, container = mounted["spec"]["template"]["spec"], container_of(mounted)

    [volume], [mount] = pod.pop("volumes"), container["volumeMounts"]
    assert volume["csi"]["driver"] == "secrets-store.csi.k8s.io"
    assert volume["csi"]["volumeAttributes"]["secretProviderClass"] == provider["metadata"]["name"]
    assert provider["metadata"]["namespace"] == mounted["metadata"]["namespace"]
    assert (mount["name"], mount["mountPath"], mount["readOnly"]) == (volume["name"], FILES, True)
    assert "subPath" not in mount  # it would not follow a new version
    del pod["containers"][0]["volumeMounts"]
    pod["containers"][0]["env"] = [each for each in container["env"] if each["name"] not in BESIDE]
    assert mounted == plain


@pytest.mark.parametrize("name", ["aks-identity.yaml", "aks-csi.yaml", "compose.yaml"])
def test_the_environment_is_the_backends_settings_and_no_secret(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The backend starts by it, and each other name is that of an identity or of a file."""
    environment = environment_of(name)
    for variable, value in environment.items():
        monkeypatch.setenv(variable, value)

    settings = BackendSettings()

    assert {variable.lower() for variable in environment if variable not in BESIDE} <= settings.model_fields_set
    assert environment.get("TOKEN_KEYS_FILE", FILES).startswith(FILES)


def test_the_compose_file_holds_no_secret() -> None:
    """Neither in a variable nor in the image; the files come from memory, and the identity from the host."""
    found = compose()
    [service] = found["services"].values()

    # No build, no env_file, no arguments: what could carry a secret into the image or into `docker inspect`.
    assert {"build", "env_file", "command", "entrypoint", "labels", "secrets", "configs"}.isdisjoint(service)
    assert set(found) == {"name", "services"}
    assert "@sha256:" in service["image"]
    assert {name for name in service["environment"] if re.search("KEY|SECRET|TOKEN|PASSWORD|HEADER", name)} <= {
        "FIELD_ENCRYPT_KEY_PROVIDER",
        "AZURE_KEYVAULT_URL",
        "TOKEN_KEYS_FILE",
    }
    [volume] = service["volumes"]
    assert (volume["type"], volume["read_only"], volume["bind"]) == ("bind", True, {"create_host_path": False})
    assert (volume["source"], volume["target"]) == (
        f"/run/{unit('service')['Service']['RuntimeDirectory'].split()[0]}",
        FILES,
    )
    assert (service["user"], service["read_only"]) == ("10001:10001", True)


def unit(kind: str) -> configparser.ConfigParser:
    """Return a unit of systemd; of what stands several times, the last."""
    found = configparser.ConfigParser(strict=False, interpolation=None, delimiters=("=",))
    found.optionxform = str  # type: ignore[assignment,method-assign]  # names keep their case
    found.read_string((SECRETS / f"notes-secrets.{kind}").read_text())
    return found


def test_the_unit_writes_what_the_container_reads() -> None:
    """Into memory, as the container's user, whole or not at all; nothing that is fetched stands in the unit."""
    text, service = (SECRETS / "notes-secrets.service").read_text(), unit("service")["Service"]
    commands = re.findall(r"^ExecStart=(.+)$", text, re.MULTILINE)

    assert (service["RuntimeDirectoryMode"], service["UMask"], service["RuntimeDirectoryPreserve"]) == (
        "0700",
        "0077",
        "yes",
    )
    assert (service["User"], service["Type"]) == ("notes", "oneshot")
    name = Path(environment_of("compose.yaml")["TOKEN_KEYS_FILE"]).name
    assert commands[-1] == f"/bin/mv -f /run/notes-secrets/.new /run/notes-secrets/{name}"
    assert set(re.findall(r"\$\{(\w+)\}", text)) <= set(VALUES)
    assert "useradd --system --uid 10001" in Runbook("SECRET_MANAGEMENT.md").text
    assert unit("timer")["Timer"]["OnUnitInactiveSec"] == "5min"
