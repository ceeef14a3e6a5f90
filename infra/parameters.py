#!/usr/bin/env python3
"""Print main.parameters.json with its variables filled in from the environment, for those who deploy without azd.

    python3 infra/parameters.py > parameters.json
    az deployment sub what-if --location westeurope --template-file infra/main.bicep --parameters @parameters.json

A variable that is not set, or empty, has the default that stands behind its ``=``, as with azd.
"""

import json
import os
import re
import sys
from pathlib import Path

VARIABLE = re.compile(r"\$\{(\w+)(?:=([^}]*))?\}")
# Resource Manager takes no text for these, nor for lists.
BOOLEANS = {"true": True, "false": False}


def _filled(value: object) -> object:
    if not isinstance(value, str):
        return value
    text = VARIABLE.sub(lambda found: os.environ.get(found[1]) or found[2] or "", value)
    return json.loads(text) if text.startswith("[") else BOOLEANS.get(text, text)


def main() -> None:
    """Write the parameters to standard output."""
    document = json.loads(Path(__file__).with_name("main.parameters.json").read_text(encoding="utf-8"))
    for parameter in document["parameters"].values():
        parameter["value"] = _filled(parameter["value"])
    json.dump(document, sys.stdout, indent=2)


if __name__ == "__main__":
    main()
