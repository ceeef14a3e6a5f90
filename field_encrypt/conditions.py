"""Conditions of queries on deterministic fields: the compared value is encrypted before it leaves the process."""

import json
from dataclasses import dataclass

Parameter = dict[str, object]  # as the SDK takes it: name and value


@dataclass(frozen=True, slots=True)
class Condition:
    """A condition in Cosmos DB's SQL, and the parameters that it needs."""

    text: str
    parameters: list[Parameter]


def equality(field_path: str, ct: object, *, alias: str, number: int) -> Condition:
    """Return the condition that a deterministic field has this ciphertext; one that never holds where there is none."""
    if ct is None:
        return Condition("false", [])
    names = (json.dumps(segment.replace("~1", "/").replace("~0", "~")) for segment in field_path.split("/"))
    parameter = f"@field_encrypt_{number}"
    return Condition(f'{alias}[{"][".join(names)}]["ct"] = {parameter}', [{"name": parameter, "value": ct}])
