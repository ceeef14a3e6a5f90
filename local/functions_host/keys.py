"""The host's access keys, made once and kept, and what each of them opens."""

import hmac
import json
import secrets
from pathlib import Path
from typing import Self

from aiohttp import web
from pydantic import BaseModel, ConfigDict

from local.common.files import write_private

KEY_BYTES = 40  # as long as the service's own keys


class Keys(BaseModel):
    """One key of each kind; the real host may have several function, host and system keys."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    function: str
    host: str
    system: str
    master: str

    @classmethod
    def load(cls, path: Path, given: dict[str, str | None]) -> Self:
        """Return the given keys, and for each that is not given the kept one, made at the first start."""
        kept = json.loads(path.read_text()) if path.exists() else {}
        made = {kind: secrets.token_urlsafe(KEY_BYTES) for kind in cls.model_fields}
        keys = cls(**{kind: given.get(kind) or kept.get(kind) or made[kind] for kind in cls.model_fields})
        write_private(path, keys.model_dump_json().encode())
        return keys

    def opens_function(self, request: web.Request, level: str) -> bool:
        """Tell whether the request may call a function of this auth level (anonymous, function, admin)."""
        match level:
            case "anonymous":
                return True
            case "function":
                return _presents(request, self.function, self.host, self.master)
            case _:
                return _presents(request, self.master)

    def opens_extension(self, request: web.Request) -> bool:
        """Tell whether the request may call the durable extension's endpoints."""
        return _presents(request, self.system, self.master)

    def opens_admin(self, request: web.Request) -> bool:
        """Tell whether the request may call the host's admin endpoints."""
        return _presents(request, self.master)


def _presents(request: web.Request, *accepted: str) -> bool:
    presented = request.headers.get("x-functions-key") or request.query.get("code") or ""
    return any(hmac.compare_digest(presented.encode(), key.encode()) for key in accepted)
