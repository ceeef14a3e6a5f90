"""What the library shows: types without Any, and a wheel that needs nothing else."""

import inspect
import re
import subprocess
import sys
import typing
from pathlib import Path
from typing import Any
from zipfile import ZipFile

import pytest
from azure.cosmos.aio import CosmosClient

import field_encrypt
from tests.field_encrypt.local_cosmos import LocalCosmos
from tests.field_encrypt.local_vault import LocalVault, Mek
from tests.field_encrypt.recipes import PRINTED, PROGRAMS, README, environment_of_a_process, prepare
from tests.local.services import REPOSITORY

PROGRAM = Path(__file__).parent / "user" / "program.py"
# A program of another repository: no configuration of ours, and no expression of a type that is not known.
STRICT = ["--strict", "--disallow-any-expr", "--disallow-any-explicit", "--disallow-any-unimported", "--config-file="]


def run(*command: str | Path, cwd: Path, env: dict[str, str] | None = None) -> str:
    """Run a command, which must succeed, and return what it printed."""
    ended = subprocess.run(  # noqa: S603 - our own
        command, cwd=cwd, env=env, capture_output=True, text=True, timeout=400, check=False
    )
    assert ended.returncode == 0, ended.stdout + ended.stderr
    return ended.stdout


def mentions_any(annotation: object) -> bool:
    """Tell whether Any stands anywhere in an annotation."""
    return annotation is Any or any(mentions_any(part) for part in typing.get_args(annotation))


def public_methods() -> list[tuple[str, Any]]:
    """Return every public function and method that is the library's own and exported."""
    exported = [(name, getattr(field_encrypt, name)) for name in field_encrypt.__all__]
    found = [(name, thing) for name, thing in exported if inspect.isfunction(thing)]
    for name, kind in exported:
        if inspect.isclass(kind):
            for attribute, value in vars(kind).items():
                method = getattr(value, "__func__", getattr(value, "fget", value))
                own = inspect.isfunction(method) and method.__module__.startswith("field_encrypt")
                if own and (attribute == "__init__" or not attribute.startswith("_")):
                    found.append((f"{name}.{attribute}", inspect.unwrap(method)))
    return found


def test_no_any_in_the_public_surface() -> None:
    """Neither a parameter nor a result of an exported function or method is of any type."""
    import azure.core.credentials_async  # noqa: F401, PLC0415 - names that get_type_hints has to resolve

    methods = public_methods()
    loose = [
        f"{name}: {parameter}"
        for name, method in methods
        for parameter, annotation in typing.get_type_hints(method, localns=vars(field_encrypt)).items()
        if mentions_any(annotation)
    ]

    assert len(methods) > 60
    assert loose == []


def test_program_of_a_user_is_typed() -> None:
    """Mypy finds no error in it, and no expression whose type is not known; the wheel is checked in the same way."""
    command = [sys.executable, "-m", "mypy", *STRICT, "--follow-imports=silent", str(PROGRAM)]

    assert "Success" in run(*command, cwd=REPOSITORY)


@pytest.mark.long
@pytest.mark.timeout(900)
async def test_wheel_alone_runs_every_recipe(
    tmp_path: Path, vault: LocalVault, cosmos: LocalCosmos, cosmos_client: CosmosClient, mek: Mek
) -> None:
    """Built, installed in an environment of its own with what it requires itself, tried, and checked by mypy."""
    (build,) = re.findall(r"`pip (wheel [^`]+)`", README)  # by path: by its name alone, an index would be asked for it
    run(sys.executable, "-m", "pip", *build.split(), "-w", tmp_path, cwd=REPOSITORY)
    (wheel,) = tmp_path.glob("field_encrypt-*.whl")  # noqa: ASYNC240 - the services are processes of their own
    assert {"field_encrypt/py.typed", "field_encrypt/FORMAT.md", "field_encrypt/LICENSE"} <= set(
        ZipFile(wheel).namelist()
    )
    run(sys.executable, "-m", "venv", tmp_path / "environment", cwd=tmp_path)
    python = tmp_path / "environment" / "bin" / "python"
    run(python, "-m", "pip", "install", "--quiet", wheel, cwd=tmp_path)
    environment = await environment_of_a_process(vault, cosmos, cosmos_client, mek)

    for (name, recipe), printed in zip(PROGRAMS.items(), PRINTED, strict=True):
        await prepare(name, environment, cosmos_client, mek)
        assert (name, run(python, "-W", "error", "-c", recipe, cwd=tmp_path, env=environment)) == (name, printed)
    where = run(python, "-c", "import field_encrypt; print(field_encrypt.__file__)", cwd=tmp_path)
    assert where.startswith(str(tmp_path))
    mypy = [sys.executable, "-m", "mypy", *STRICT, "--python-executable", str(python), str(PROGRAM)]
    assert "Success" in run(*mypy, cwd=tmp_path)
