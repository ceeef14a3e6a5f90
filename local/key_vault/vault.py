"""What the operations work on: one vault, and one call to it."""

import asyncio
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

from cryptography.fernet import Fernet

from local.key_vault.store import KeyStore


@dataclass(frozen=True)
class Vault:
    """The vault: its keys, its address, the threads for RSA arithmetic and the secret of its backups."""

    url: str
    store: KeyStore
    backup_cipher: Fernet
    threads: ThreadPoolExecutor
    throw_away: bool = False  # whether keys may be deleted and purged

    async def in_thread[**P, R](self, work: Callable[P, R], *args: P.args, **kwargs: P.kwargs) -> R:
        """Run RSA arithmetic beside the event loop; it releases the interpreter lock."""
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self.threads, lambda: work(*args, **kwargs))


@dataclass
class Call:
    """One request: the key it names, and what it brings."""

    name: str | None
    version: str | None  # empty or None in a versionless request, until the operation has chosen a version
    query: Mapping[str, str]
    body: bytes

    @property
    def key_name(self) -> str:
        """The key's name, in an operation whose path has one."""
        if self.name is None:
            raise TypeError("this operation's path names no key")
        return self.name
