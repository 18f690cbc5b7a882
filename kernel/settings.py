"""Settings from one YAML file, secret files, the environment and the command line, refused as a whole when wrong."""

import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from difflib import get_close_matches
from pathlib import Path
from typing import Any, TypeVar

from pydantic import BaseModel, SecretBytes, SecretStr, ValidationError
from pydantic_core import ErrorDetails, to_json, to_jsonable_python

from kernel.settings_layers import (
    PREFIX,
    Entry,
    Names,
    Problem,
    fitted,
    from_environment,
    from_variable,
    nearest,
    skeleton,
    variable_of,
)
from kernel.yaml_text import UnreadableYamlError, parse

__all__ = ["MASK", "ConfigurationError", "Problem", "config_hash", "load", "resolved", "secret_values"]

MASK = "**********"
Model = TypeVar("Model", bound=BaseModel)
_UNQUOTED = " without quotes"
_WORDS = {"should be a valid array": "should be a list", "should be an object": "should be settings of its own"}
_FIXES = {
    "string_type": "put the value in quotes",
    "int_type": f"write a whole number{_UNQUOTED}",
    "float_type": f"write a number{_UNQUOTED}",
    "bool_type": f"write true or false{_UNQUOTED}",
    "tuple_type": "write it as [A, B]",
    "frozen_set_type": "write it as [A, B]",
    "dict_type": "write them as {NAME: VALUE}",
    "model_type": "write them as {NAME: VALUE}",
    "time_delta_type": "write a duration like PT5S or 00:00:05",
    "time_delta_parsing": "write a duration like PT5S or 00:00:05",
}


class ConfigurationError(Exception):
    """The settings are refused; ``problems`` is the whole list and never repeats a value."""

    def __init__(self, problems: Sequence[Problem]) -> None:
        self.problems = tuple(problems)
        super().__init__("\n".join(map(str, self.problems)))


def load(
    model: type[Model],
    path: Path | None,
    environ: Mapping[str, str],
    secrets_dir: Path | None = None,
    overrides: Mapping[str, object] | None = None,
) -> Model:
    """Build ``model`` from its defaults, the file, secret files, the environment and ``overrides``; later ones win.

    A variable is named ``ALGOTRADE_SECTION__FIELD`` and holds a YAML value; text, paths and secrets are
    taken as they are written. A secret file bears the name of the variable it stands for. ``overrides``
    are keyed by dotted names.

    Raises:
        ConfigurationError: with every problem found.
    """
    problems: list[Problem] = []
    tree = skeleton(model)
    sources: dict[Names, str] = {}
    files = [*_from_file(path, problems), *_from_secret_files(secrets_dir, problems)]
    if problems:  # what could not be read would be reported as missing, too
        raise ConfigurationError(problems)
    entries = [
        *files,
        *from_environment(model, environ),
        *(Entry(tuple(name.split(".")), value, f"option {name}") for name, value in (overrides or {}).items()),
    ]
    for single in (single for entry in entries for single in fitted(model, entry)):
        if isinstance(single, Problem):
            problems.append(single)
        else:
            _put(tree, single.names, single.value)
            sources[single.names] = single.source
    try:
        # Strict JSON takes a date or a path from text, and refuses "5" or true as a number.
        loaded = model.model_validate_json(to_json(tree), strict=True)
    except ValidationError as error:
        found = error.errors(include_url=False, include_input=False)
        problems += [_explain(model, detail, sources, _as_written(tree, detail)) for detail in found]
    if problems:
        raise ConfigurationError(problems)
    return loaded


def resolved(settings: BaseModel) -> dict[str, Any]:
    """Every setting as plain data, secrets masked."""
    return {name: _plain(getattr(settings, name), MASK) for name in type(settings).model_fields}


def config_hash(settings: BaseModel) -> str:
    """SHA-256 (hex) over the canonical JSON of every setting but the secrets."""
    text = json.dumps(_plain(settings, None), sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()


def secret_values(value: object) -> Iterator[str]:
    """Every secret inside ``value``, in clear, so that the log can look out for it."""
    if isinstance(value, SecretStr):
        yield value.get_secret_value()
    elif isinstance(value, SecretBytes):
        yield value.get_secret_value().decode(errors="replace")
    elif isinstance(value, BaseModel):
        for name in type(value).model_fields:
            yield from secret_values(getattr(value, name))
    elif isinstance(value, Mapping):
        yield from secret_values(tuple(value.values()))
    elif isinstance(value, list | tuple | set | frozenset):
        for item in value:
            yield from secret_values(item)


def _from_file(path: Path | None, problems: list[Problem]) -> list[Entry]:
    if path is None:
        return []
    try:
        tree = parse(path.read_text("utf-8-sig"))
    except FileNotFoundError:
        fix = "paths count from the directory you are in: go to the right one, or name another file"
        problems.append(Problem("the settings file", str(path), "is not there", fix))
        return []
    except (OSError, UnicodeDecodeError) as error:
        wrong = f"cannot be read ({type(error).__name__})"
        problems.append(Problem("the settings file", str(path), wrong, "check that it exists and is UTF-8 text"))
        return []
    except UnreadableYamlError as error:
        problems.append(Problem("the settings file", str(path), str(error), "correct the file"))
        return []
    return [Entry((), tree, str(path))]


def _from_secret_files(folder: Path | None, problems: list[Problem]) -> list[Entry]:
    if folder is None:
        return []
    try:
        files = [file for file in sorted(folder.iterdir()) if file.name.startswith(PREFIX)]
        return [from_variable(file.name, file.read_text("utf-8").rstrip("\r\n"), str(file)) for file in files]
    except (OSError, UnicodeDecodeError) as error:
        wrong = f"cannot be read ({type(error).__name__})"
        problems.append(Problem("the folder of secret files", str(folder), wrong, "mount it, or do not name one"))
        return []


def _put(tree: dict[str, Any], names: Names, value: object) -> None:
    *parents, last = names
    for name in parents:
        if not isinstance(tree.get(name), dict):
            tree[name] = {}
        tree = tree[name]
    tree[last] = next(secret_values(value)) if isinstance(value, SecretStr | SecretBytes) else value


def _as_written(tree: object, detail: ErrorDetails) -> Names:
    """Where the error is, by the names in ``tree``: without those of the alternatives that a setting may be."""
    names: list[str] = []
    steps = detail["loc"]
    for depth, step in enumerate(steps):
        listed = isinstance(tree, list) and isinstance(step, int) and step < len(tree)
        if listed or (isinstance(tree, dict) and step in tree):
            tree = tree[step]  # type: ignore[index]
            names.append(str(step))
        elif detail["type"] == "missing" and depth == len(steps) - 1:
            names.append(str(step))
    return tuple(names)


def _explain(model: type[BaseModel], detail: ErrorDetails, sources: Mapping[Names, str], names: Names) -> Problem:
    field = ".".join(names) or "the settings"
    depths = range(len(names), 0, -1)
    source = next((sources[names[:depth]] for depth in depths if names[:depth] in sources), None)
    if detail["type"] == "missing":
        fix = "add it" if source else f"add it to the settings file or set {variable_of(names)}"
        return Problem(field, source or "not set", "is required", fix)
    source = source or "several settings together"
    if detail["type"] == "extra_forbidden":
        return Problem(field, source, "is not a setting", nearest(model, tuple(map(str, detail["loc"]))))
    if detail["type"] in {"union_tag_invalid", "union_tag_not_found"}:
        return _unchosen(field, source, detail["ctx"])
    wrong = detail["msg"].removeprefix("Input ").removeprefix("Value error, ").removeprefix("Assertion failed, ")
    fix = _FIXES.get(detail["type"], "correct the value")
    return Problem(field, source, _WORDS.get(wrong, wrong), fix if _is_yaml(source) else fix.removesuffix(_UNQUOTED))


def _unchosen(field: str, source: str, context: Mapping[str, str]) -> Problem:
    """A setting that says by name which of several forms it has, and names none of them."""
    field += "." + context["discriminator"].strip("'")
    if "tag" not in context:
        return Problem(field, source, "is required", "add it")
    known = [name.strip("'") for name in context["expected_tags"].split(", ")]
    near = get_close_matches(context["tag"], known, n=1)
    fix = f"did you mean {near[0]}?" if near else "choose one of them"
    return Problem(field, source, f"is none of {', '.join(known)}", fix)


def _is_yaml(source: str) -> bool:
    """Whether ``source`` is the settings file, where quotes make a text of a number; not a variable or an option."""
    return not (Path(source).name.startswith(PREFIX) or source.startswith("option "))


def _plain(value: object, mask: str | None) -> object:
    if isinstance(value, SecretStr | SecretBytes):
        return mask
    if isinstance(value, BaseModel):
        return {name: _plain(getattr(value, name), mask) for name in type(value).model_fields}
    if isinstance(value, Mapping):
        return {str(name): _plain(inner, mask) for name, inner in value.items()}
    if isinstance(value, set | frozenset):
        return sorted((_plain(item, mask) for item in value), key=str)
    if isinstance(value, list | tuple):
        return [_plain(item, mask) for item in value]
    plain: object = to_jsonable_python(value)
    return plain
