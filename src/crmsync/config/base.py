"""Pydantic models over YAML, with mistakes told in sentences and at their place."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, TypeVar

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    ValidationError,
    WithJsonSchema,
)

from crmsync.config.secrets import FOLDER
from crmsync.config.yaml import nearest
from crmsync.model.durations import Duration, duration_pattern, parse_duration

if TYPE_CHECKING:
    from pathlib import Path

    from pydantic_core import ErrorDetails

    from crmsync.config.yaml import Document, Path_, Problems


class Settings(BaseModel):
    """The base of all settings: frozen, and no unknown keys."""

    model_config = ConfigDict(frozen=True, extra="forbid", arbitrary_types_allowed=True)


def _duration(value: object) -> Duration:
    return value if isinstance(value, Duration) else parse_duration(value)


def _calendar(value: Duration) -> Duration:
    if value.business_days:
        raise ValueError("business days have no fixed length; write days or hours here")
    return value


DurationField = Annotated[
    Duration,
    BeforeValidator(_duration),
    WithJsonSchema({"type": "string", "pattern": duration_pattern()}),
]
CalendarDurationField = Annotated[DurationField, AfterValidator(_calendar)]


def _as_list(value: object) -> object:
    return [value] if isinstance(value, str) else value


_NAMES = {"anyOf": [{"type": "string"}, {"type": "array", "items": {"type": "string"}}]}
# One name, or a list of them.
NamesField = Annotated[list[str], BeforeValidator(_as_list), WithJsonSchema(_NAMES)]

# Pydantic's words for a wrong shape are for programmers.
_SHAPES = {
    "model_type": "a mapping of keys to values",
    "dict_type": "a mapping of keys to values",
    "list_type": "a list",
    "string_type": "text; put it in quotes",
    "bool_type": "true or false",
    "bool_parsing": "true or false",
    "int_type": "a whole number",
    "int_parsing": "a whole number",
    "int_from_float": "a whole number",
    "float_type": "a number",
    "float_parsing": "a number",
}

_Model = TypeVar("_Model", bound=BaseModel)


def validate(
    model: type[_Model],
    data: object,
    *,
    document: Document,
    path: Path_,
    problems: Problems,
    folder: Path | None = None,
) -> _Model | None:
    """Data as a model, or None with each mistake noted at its place.

    ``folder`` is what the paths of secrets are relative to.
    """
    try:
        return model.model_validate({} if data is None else data, context={FOLDER: folder})
    except ValidationError as error:
        for detail in error.errors(include_url=False):
            _note(model, detail, data, document=document, path=path, problems=problems)
        return None


def _note(
    model: type[BaseModel],
    detail: ErrorDetails,
    data: object,
    *,
    document: Document,
    path: Path_,
    problems: Problems,
) -> None:
    where = detail["loc"]
    at = path + _steps_in(data, where)
    last = where[-1] if where else ""
    match detail["type"]:
        case "missing":
            problems.add(document.place(at), f"“{last}” is missing here")
        case "extra_forbidden":
            hint = nearest(last, _keys_of(model, where[:-1]))
            problems.add(document.key_place(at), f"unknown key “{last}”{hint}")
        case kind if kind in _SHAPES:
            problems.add(document.place(at), f"“{last}” must be {_SHAPES[kind]}")
        case _:
            sentence = detail["msg"].removeprefix("Value error, ")
            # Words and numbers that are not among the possible ones.
            told = sentence.removeprefix("Input should be ").replace("'", "")
            if told != sentence and last:
                sentence = f"“{last}” must be {told}"
            elif last:
                sentence = f"“{last}”: {sentence}"
            problems.add(document.place(at), sentence)


def _steps_in(data: Any, where: Path_) -> Path_:  # noqa: ANN401  YAML is anything
    """The steps of pydantic's path that the data has; it adds the tried alternatives of a union."""
    steps: list[str | int] = []
    for step in where:
        if isinstance(data, dict) and step in data:  # noqa: SIM114  mypy tells the two kinds apart
            data = data[step]
        elif isinstance(data, list) and isinstance(step, int) and step < len(data):
            data = data[step]
        else:
            continue
        steps.append(step)
    return tuple(steps)


def _keys_of(model: type[BaseModel], where: Path_) -> list[str]:
    """The keys that the model knows at a path, as far as it can be followed."""
    current: Any = model
    for step in where:
        if not (isinstance(current, type) and issubclass(current, BaseModel)):
            return []
        field = current.model_fields.get(str(step))
        if field is None:
            continue
        current = _model_in(field.annotation)
    if isinstance(current, type) and issubclass(current, BaseModel):
        return [field.alias or name for name, field in current.model_fields.items()]
    return []


def _model_in(annotation: Any) -> Any:  # noqa: ANN401  annotations are anything
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    for argument in getattr(annotation, "__args__", ()):
        found = _model_in(argument)
        if found is not None:
            return found
    return None
