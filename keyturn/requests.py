"""Bodies from outside, validated into models, with one clear error for the first thing that is off."""

import json

from pydantic import BaseModel, ValidationError

from keyturn.errors import InvalidRequestError


def parse_json(body: bytes) -> object:
    """Return the JSON value of the body; raises InvalidRequestError."""
    try:
        return json.loads(body)
    except (ValueError, RecursionError):  # ValueError also for a number of thousands of digits
        raise InvalidRequestError("the body is not JSON", field="body", expected="a JSON object") from None


def parse[T: BaseModel](model: type[T], value: object) -> T:
    """Return the value as the model; raises InvalidRequestError naming the field and what was expected of it."""
    try:
        return model.model_validate(value)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False, include_context=False)[0]
        field = ".".join(str(part) for part in first["loc"]) or "body"
        raise InvalidRequestError(f"{field}: {first['msg']}", field=field, expected=first["msg"]) from None
