"""The library's README: its recipes run as they stand, and it leaves no error and no export out."""

import re
import subprocess
import sys

import pytest
from azure.cosmos.aio import CosmosClient

import field_encrypt
from field_encrypt import errors, mek_errors
from tests.field_encrypt.local_cosmos import LocalCosmos
from tests.field_encrypt.local_vault import LocalVault, Mek
from tests.field_encrypt.recipes import PRINTED, PROGRAMS, README, RECIPES, environment_of_a_process, prepare
from tests.local.services import REPOSITORY


@pytest.fixture
async def environment(vault: LocalVault, cosmos: LocalCosmos, cosmos_client: CosmosClient, mek: Mek) -> dict[str, str]:
    """The environment of a process on a fresh key and database."""
    found = await environment_of_a_process(vault, cosmos, cosmos_client, mek)
    return {**found, "PYTHONPATH": str(REPOSITORY)}


@pytest.mark.parametrize(("recipe", "printed"), list(zip(PROGRAMS, PRINTED, strict=True)))
async def test_recipe_runs_as_it_stands(
    recipe: str, printed: str, environment: dict[str, str], cosmos_client: CosmosClient, mek: Mek
) -> None:
    """Each recipe and example, copied from the README into a file, does what it says."""
    await prepare(recipe, environment, cosmos_client, mek)
    ended = subprocess.run(  # noqa: ASYNC221, S603 - the services are processes of their own; the command is ours
        [sys.executable, "-W", "error", "-c", PROGRAMS[recipe]],
        env=environment,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )

    assert (ended.stdout, ended.stderr) == (printed, "")


def test_five_recipes_and_the_first_is_short() -> None:
    """A newcomer sees an encrypted document after fewer than fifteen lines."""
    first = next(iter(RECIPES.values()))

    assert len(RECIPES) == 5
    assert len([line for line in first.splitlines() if line]) < 15


def test_every_error_is_in_the_table() -> None:
    """Whoever catches an error finds what to do about it."""
    families = {"FieldEncryptError", "UnwrapError", "MekError"}
    kinds = {
        name
        for module in (errors, mek_errors)
        for name, kind in vars(module).items()
        if isinstance(kind, type) and issubclass(kind, errors.FieldEncryptError)
    }

    assert set(re.findall(r"`(\w+Error)`", README)) - families == kinds - families


def test_every_export_but_plain_data_is_explained() -> None:
    """What the package exports is in the README."""
    explained = set(re.findall(r"\w+", README))

    assert {"MekClient", "KeyVaultProvider", "RetryingProvider", "EnvProvider", "WrappedDek"} >= (
        set(field_encrypt.__all__) - explained
    )


def test_every_file_is_in_the_table() -> None:
    """A newcomer finds each module's concern."""
    modules = {path.name for path in (REPOSITORY / "field_encrypt").glob("*.py")} - {"__init__.py"}

    assert set(re.findall(r"`(\w+\.py)`", README)) == modules
