"""A stage on which callers must sign in: who holds which role, and what the app's own identity may do."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, override

from local.callers import Callers
from local.functions_host.sign_in import AUDIENCE
from local.identity.signing_key import load_signing_key
from local.identity.tokens import issue, person_id
from local.supervisor import LocalAzure
from tests.end_to_end.app_harness import AppHarness

REQUESTER, APPROVER, OPERATOR, READER = (f"Keyturn.{role}" for role in ("Requester", "Approver", "Operator", "Reader"))
APP = "principals/keyturn"


class GuardedApp(AppHarness):
    """The stage; :meth:`person` gives somebody who calls the app, and :attr:`people` is a person of every role."""

    def __init__(self, azure: LocalAzure) -> None:
        super().__init__(azure)
        self._unguarded = self.callers
        self._persons: list[Callers] = []
        self.callers = self.person("dana@example.com", REQUESTER, APPROVER, OPERATOR, READER)
        self.app_identity: dict[str, Any] = self.control("identity", "GET", APP)

    @override
    async def __aexit__(self, *failure: object) -> None:
        for person in self._persons:
            await person.__aexit__(None, None, None)
        self.callers = self._unguarded
        await super().__aexit__(*failure)

    def token(self, name: str, *roles: str, audience: str = AUDIENCE, seconds: int = 3600) -> str:
        """Return an access token of a person, as Entra ID issues them."""
        key = load_signing_key(self.azure.layout.folder("identity"))
        named: dict[str, Any] = {"name": name, "object_id": person_id(name), "roles": roles}
        return issue(**named, resource=audience, signing_key=key, seconds=seconds)[0]

    def person(self, name: str, *roles: str) -> Callers:
        """Return a person with these roles."""
        self._persons.append(Callers(self.azure.endpoints(), self.token(name, *roles)))
        return self._persons[-1]

    @asynccontextmanager
    async def without(self, right: str) -> AsyncIterator[None]:
        """Take a right from the app's identity, and give it back in the end.

        The app is started again, because its tokens say for a while what it was allowed before; whoever needs the
        right again starts it once more.
        """
        left = [held for held in self.app_identity["roles"] if held != right]
        assert len(left) == len(self.app_identity["roles"]) - 1, f"the app does not hold {right}"
        self._allow(left)
        try:
            await asyncio.to_thread(self.restart_app)
            yield
        finally:
            self._allow(self.app_identity["roles"])

    def _allow(self, rights: list[str]) -> None:
        self.control("identity", "PUT", APP, json={"roles": rights})

    def restart_app(self) -> None:
        """Kill the app and start it again: it asks for new tokens."""
        self.azure.processes["functions_host"].kill()
        self.azure.start("functions_host")
