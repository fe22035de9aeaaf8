"""What is said of settings that are refused: one sentence a place, in the words of the YAML and not of pydantic."""

import datetime
import re
from collections.abc import Sequence
from typing import Any

from pydantic import BaseModel, ValidationError

# What is allowed, by the type of pydantic's error and with its context.
_ALLOWED = {
    "bool_type": "true or false",
    "dict_type": "a group of settings",
    "finite_number": "a finite number",
    "float_type": "a number",
    "greater_than": "more than {gt:g}",
    "greater_than_equal": "at least {ge:g}",
    "int_type": "a whole number",
    "less_than": "less than {lt:g}",
    "less_than_equal": "at most {le:g}",
    "list_type": "a list such as [a, b]",
    "literal_error": "{expected}",
    "string_pattern_mismatch": "letters, digits, _ and -, the first a letter or digit",
    "string_too_short": "some text",
    "string_type": "text, in quotes if it looks like a number",
    "too_long": "{max_length} values",
    "too_short": "at least {min_length} of them",
    "tuple_type": "two numbers such as [0, 0]",
}

Model = type[BaseModel]


def sentences(error: ValidationError, config: Any, root: Model) -> list[str]:
    """One sentence per place that is wrong; none about a whole where one of its parts is.

    Args:
        error: What pydantic found.
        config: What it looked at.
        root: Model of the whole of `config`.

    """
    of_place: dict[tuple, list[Any]] = {}
    for one in error.errors():
        of_place.setdefault(_place(one, config), []).append(one)
    wholes = {place[:i] for place in of_place for i in range(len(place))}
    return [_sentence(found, place, root) for place, found in of_place.items() if place not in wholes]


def _place(error: Any, config: Any) -> tuple:
    """Path of an error in the YAML: without pydantic's names for the members of a union, which stand nowhere in it."""
    place: list[Any] = []
    for part in error["loc"]:
        if isinstance(config, dict) and (part in config or error["type"] == "missing"):
            config = config.get(part)
        elif isinstance(config, list) and isinstance(part, int):
            config = config[part] if part < len(config) else None
        else:
            continue
        place.append(part)
    return tuple(place)


def _sentence(errors: Sequence[Any], place: tuple, root: Model) -> str:
    """One line about the errors of one place (a union gives several): path, what was found, what is allowed."""
    error, path = errors[0], ".".join(map(str, place)) or "settings"
    if error["type"] == "extra_forbidden":
        return f"{path}: unknown setting; allowed here: {', '.join(_names(place[:-1], root, error['loc']))}"
    if error["type"] == "missing":
        return f"{path}: this setting is required"
    if error["type"] == "value_error":
        return _of_validator(error, place, path, root)
    allowed = ", or ".join(_allowed(e, place, root) for e in errors)
    return f"{path}: found {_found(error['input'])}; allowed: {allowed}"


def _of_validator(error: Any, place: tuple, path: str, root: Model) -> str:
    """One line about what a validator says: of one value; or of a group, where it may begin with a setting's name."""
    message = error["msg"].removeprefix("Value error, ")
    if not isinstance(error["input"], dict):
        return f"{path}: found {_found(error['input'])}; {message}"
    name = re.match(r"\w+(?=[.:,])", message)
    if name and name[0] in _names(place, root):
        return f"{path}.{message}" if place else message
    return f"{path}: {message}"


def _allowed(error: Any, place: tuple, root: Model) -> str:
    if error["type"] == "model_type":
        return f"a group of settings ({', '.join(_names(place, root))})"
    allowed = _ALLOWED.get(error["type"])
    return allowed.format(**error.get("ctx", {})) if allowed else error["msg"]


def _found(value: Any) -> str:
    if value is None:
        return "nothing"
    return str(value) if isinstance(value, datetime.date) else repr(value)


def _names(place: Sequence[Any], root: Model, tags: Sequence[Any] = ()) -> list[str]:
    """Names that the group of settings at a place knows; where it may be one of several groups, a tag says which."""
    for part in place:
        field = root.model_fields.get(str(part))
        groups = _models(field.annotation) if field else []
        root = next((group for group in groups if group.__name__ in tags), next(iter(groups), root))
    return list(root.model_fields)


def _models(annotation: Any) -> list[Model]:
    """Find the models inside a type such as ``dict[str, Sensor]`` or ``Regions | None``."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return [annotation]
    return [m for inner in getattr(annotation, "__args__", ()) for m in _models(inner)]
