"""``python -m tests.vectors.generate``: writes the vectors anew; a test holds the files to what this makes."""

import json
from pathlib import Path
from typing import Any

from tests.vectors.deterministic_vectors import deterministic
from tests.vectors.field_vectors import field_vectors
from tests.vectors.field_vectors_2 import field_vectors_2
from tests.vectors.row_vectors import row_vectors


def all_of_format_2() -> dict[str, Any]:
    """Return the content of ``fields_2.json``."""
    content = field_vectors_2()
    return {**content, "vectors": [*content["vectors"], *deterministic()]}


FOLDER = Path(__file__).parent
FILES = {"fields.json": field_vectors, "fields_2.json": all_of_format_2, "rows.json": row_vectors}


def text_of(content: dict[str, Any]) -> str:
    """Return a file's text, a vector a line."""
    *head, (_, vectors) = content.items()
    lines = [f" {_json(name)}: {_json(value)}," for name, value in head]
    listed = ",\n".join(f"  {_json(vector)}" for vector in vectors)
    return "\n".join(["{", *lines, f' "vectors": [\n{listed}\n ]', "}", ""])


def _json(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False)


if __name__ == "__main__":
    for name, make in FILES.items():
        (FOLDER / name).write_text(text_of(make()), encoding="utf-8")
