"""Fit what a source of settings says to the fields of a settings model, name by name."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from difflib import get_close_matches
from pathlib import Path
from types import NoneType, UnionType
from typing import Annotated, Any, Union, get_args, get_origin

from pydantic import BaseModel, SecretBytes, SecretStr

from kernel.yaml_text import UnreadableYamlError, parse

PREFIX = "ALGOTRADE_"
Names = tuple[str, ...]
_TAKEN_AS_WRITTEN = (str, SecretStr, SecretBytes, Path)


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing wrong with the settings: which field, set where, what is wrong and how to put it right."""

    field: str
    source: str
    wrong: str
    fix: str

    def __str__(self) -> str:
        return f"{self.field} {self.wrong}; {self.fix} ({self.source})"


@dataclass(frozen=True, slots=True)
class Entry:
    """One value of one source and the setting it is meant for; ``text`` still has to be read."""

    names: Names
    value: object
    source: str
    text: bool = False

    @property
    def field(self) -> str:
        """The setting by its dotted name."""
        return ".".join(self.names) or "the settings file"


def from_variable(name: str, text: str, source: str) -> Entry:
    """What the variable ``name`` (``ALGOTRADE_SECTION__FIELD``) says."""
    return Entry(tuple(name.removeprefix(PREFIX).lower().split("__")), text, source, text=True)


def from_environment(model: type[BaseModel], environ: Mapping[str, str]) -> Iterator[Entry | Problem]:
    """What the variables with the platform's prefix say, in the order of their names.

    One without a double underscore is a setting only if it names one; others belong to somebody else (the
    cluster that runs the process sets such names too), unless a setting was evidently meant.
    """
    meant = {name.replace(".", "_"): name for name in _all_names(model)}
    for variable in sorted(name for name in environ if name.startswith(PREFIX)):
        name = variable.removeprefix(PREFIX).lower()
        if "__" in name or name in model.model_fields:
            yield from_variable(variable, environ[variable], variable)
        elif name in meant:
            right = variable_of(tuple(meant[name].split(".")))
            yield Problem(variable, "environment", "is not a setting", f"did you mean {right}?")


def variable_of(names: Names) -> str:
    """The variable that sets ``names``."""
    return PREFIX + "__".join(names).upper()


def fitted(model: type[BaseModel], entry: Entry | Problem) -> Iterator[Entry | Problem]:
    """Break ``entry`` down to the single settings of ``model``; a problem stands for what fits none."""
    annotation = entry if isinstance(entry, Problem) else _locate(model, entry)
    read = annotation if isinstance(annotation, Problem) else _as_value(entry, annotation)
    if isinstance(read, Problem) or section_of(annotation) is None or (read.value is None and _optional(annotation)):
        yield read
    elif isinstance(read.value, Mapping):
        for name, inner in read.value.items():
            yield from fitted(model, Entry((*read.names, str(name)), inner, read.source))
    elif read.value is not None:
        yield Problem(read.field, read.source, "is a section", "list its settings by name")


def skeleton(model: type[BaseModel]) -> dict[str, Any]:
    """The sections that must be there, empty, so that what they lack is reported setting by setting."""
    sections = (
        (name, section_of(field.annotation)) for name, field in model.model_fields.items() if field.is_required()
    )
    return {name: skeleton(section) for name, section in sections if section is not None}


def nearest(model: type[BaseModel], names: Names) -> str:
    """What may have been meant by the last of ``names``, which its section, also one in a list, does not have."""
    annotation: object = model
    for step in names[:-1]:
        section = section_of(annotation)
        field = section.model_fields.get(step) if section else None
        annotation = field.annotation if field else _alternative(annotation, step) or _item(annotation)
    section = section_of(annotation)
    near = get_close_matches(names[-1], list(section.model_fields), n=1) if section else []
    return f"did you mean {near[0]}?" if near else "remove it"


def section_of(annotation: object) -> type[BaseModel] | None:
    """The model behind ``annotation`` when it can be nothing else but None."""
    kinds = _kinds(annotation)
    if len(kinds) == 1 and isinstance(kinds[0], type) and issubclass(kinds[0], BaseModel):
        return kinds[0]
    return None


def _locate(model: type[BaseModel], entry: Entry) -> object | Problem:
    """The type of the setting that ``entry`` names."""
    annotation: object = model
    for depth, name in enumerate(entry.names):
        section = section_of(annotation)
        if section is None:
            whole = ".".join(entry.names[:depth])
            return Problem(entry.field, entry.source, "is not a setting", f"set {whole} as a whole")
        if name not in section.model_fields:
            others = [known for known in _all_names(model) if not entry.field.startswith(f"{known}.")]
            near = get_close_matches(entry.field, others, n=1)
            fix = f"did you mean {near[0]}?" if near else f"choose from {', '.join(section.model_fields)}"
            return Problem(entry.field, entry.source, "is not a setting", fix)
        annotation = section.model_fields[name].annotation
    return annotation


def _all_names(model: type[BaseModel], prefix: str = "") -> Iterator[str]:
    for name, field in model.model_fields.items():
        yield prefix + name
        section = section_of(field.annotation)
        if section is not None:
            yield from _all_names(section, f"{prefix}{name}.")


def _as_value(entry: Entry | Problem, annotation: object) -> Entry | Problem:
    """The entry with its text read as the type of its setting asks for."""
    if isinstance(entry, Problem) or not entry.text:
        return entry
    text = str(entry.value)
    if all(kind in _TAKEN_AS_WRITTEN for kind in _kinds(annotation)):
        return replace(entry, value=None if _optional(annotation) and text in ("", "null") else text, text=False)
    try:
        return replace(entry, value=parse(text), text=False)
    except UnreadableYamlError as error:
        return Problem(entry.field, entry.source, str(error), "correct it or put it in quotes")


def _alternative(annotation: object, tag: str) -> type[BaseModel] | None:
    """The model, of several that a setting may be, in which ``tag`` is the value of a field."""
    models = (kind for kind in _kinds(annotation) if isinstance(kind, type) and issubclass(kind, BaseModel))
    return next(
        (each for each in models if any(tag in get_args(f.annotation) for f in each.model_fields.values())), None
    )


def _item(annotation: object) -> object:
    """The type of the values in a list, tuple, set or mapping; None for anything else."""
    values = [kind for kind in get_args(_kinds(annotation)[0]) if kind is not Ellipsis]
    return values[-1] if values else None


def _optional(annotation: object) -> bool:
    return NoneType in _alternatives(annotation)


def _kinds(annotation: object) -> list[Any]:
    return [kind for kind in _alternatives(annotation) if kind is not NoneType]


def _alternatives(annotation: object) -> list[Any]:
    origin = get_origin(annotation)
    if origin is Annotated:
        return _alternatives(get_args(annotation)[0])
    if origin in (Union, UnionType):
        return [kind for part in get_args(annotation) for kind in _alternatives(part)]
    return [annotation]
