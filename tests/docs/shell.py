"""Follows a runbook's sections as a person does: their blocks, one after the other, in one shell."""

from pathlib import Path

from local.supervisor import LocalAzure
from tests.docs.runbook import Runbook
from tests.end_to_end.command_line import Ended, execute, operator_environment

APPROVER = "sam@example.com"


class Shell:
    """A desk with the runbook's variables, in a folder of its own."""

    def __init__(self, azure: LocalAzure, folder: Path, runbook: str) -> None:
        self._folder = folder
        self._blocks = Runbook(runbook).blocks()
        secret = folder / "secret"
        secret.write_text(azure.approval_secret)
        environment = operator_environment(azure)
        self.variables = {
            **environment,
            "APP": environment["KEYTURN_URL"],
            "KEY": environment["KEYTURN_FUNCTION_KEY"],
            "OPERATOR": environment["KEYTURN_BY"],
            "APPROVER": APPROVER,
            "SECRET_FILE": str(secret),
        }

    async def follow(self, *sections: str, give: str | None = None, **variables: str) -> Ended:
        """Run the blocks of these sections and return what they wrote; with ``give``, that variable as the last line.

        Raises:
            AssertionError: a command failed, with what it said.
        """
        told = f'printf "%s\\n" "${give}"\n' if give else ""
        driver = "".join(self._blocks[section] for section in sections) + told
        command = ("sh", "-euxc", driver)
        ended = await execute(*command, cwd=self._folder, env={**self.variables, **variables})
        assert ended.code == 0, ended.err
        return ended
