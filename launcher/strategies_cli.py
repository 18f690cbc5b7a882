"""``algotrade strategies``: which strategies there are, and what each can be told."""

import json
from collections.abc import Iterable
from difflib import get_close_matches
from types import UnionType
from typing import Annotated, Any, Union, get_args, get_origin

import typer
from pydantic import BaseModel
from pydantic.fields import FieldInfo
from pydantic_core import to_jsonable_python
from rich.table import Table

from launcher.endings import RunRefused, reported
from launcher.kafka_options import console
from strategy_plane.settings import StrategySettings

_PREFIX = "strategy.strategy"
_WIDE = 120
"""Columns of a terminal from which on a long name leaves room for its meaning."""
TAGS = {"name", "kind"}
"""Settings that say which form another setting takes."""

app = typer.Typer(name="strategies", help="The strategies there are.", no_args_is_help=True)


def known() -> dict[str, type[BaseModel]]:
    """The settings of every strategy by each name it goes by, sorted."""
    found: dict[str, type[BaseModel]] = {}
    for model in _forms(StrategySettings.model_fields["strategy"].annotation):
        for name in get_args(model.model_fields["name"].annotation):
            found[name] = model
    return dict(sorted(found.items()))


@app.command("list")
def list_strategies() -> None:
    """Show every strategy by the name that a configuration gives it, and what it does."""
    table = Table(show_edge=False)
    table.add_column("name", no_wrap=True)
    table.add_column("what it does")
    for name, model in known().items():
        table.add_row(name, (model.__doc__ or "").strip().splitlines()[0])
    console.print(table)


@app.command("show")
def show_strategy(
    name: Annotated[str, typer.Argument(help="A name of `strategies list`.")],
    setting: Annotated[str | None, typer.Argument(help="One of its settings, such as optimizer, in full.")] = None,
) -> None:
    """Show every parameter of a strategy: its dotted name in a configuration, its default and its meaning.

    Some settings take several forms, such as optimizer or signals; name one of them to see each form's parameters.
    """
    with reported():
        model = known().get(name)
        if model is None:
            raise RunRefused(
                f"there is no strategy {name}{_meant(name, known())}; `algotrade strategies list` shows all"
            )
        if setting is not None:
            _show_setting(name, model, setting)
            return
        console.print((model.__doc__ or "").strip(), markup=False)
        console.print(_table(parameters(model, _PREFIX)))
        several = [each for each in model.model_fields if _forms(model.model_fields[each].annotation)[1:]]
        if several:
            more = f"the forms that {', '.join(several)} may take: `algotrade strategies show {name} {several[-1]}`"
            console.print(more, markup=False, soft_wrap=True)


def _show_setting(name: str, model: type[BaseModel], setting: str) -> None:
    """Show every form that ``setting`` may take, with its parameters."""
    settings = [each for each in model.model_fields if each != "name"]
    if setting not in settings:
        raise RunRefused(f"{name} has no {setting}{_meant(setting, settings)}; it has {', '.join(settings)}")
    path, annotation = f"{_PREFIX}.{setting}", model.model_fields[setting].annotation
    forms = _forms(annotation)
    if not forms:
        console.print(_table([row for row in parameters(model, _PREFIX) if row[0] == path]))
    for form in forms:
        tags = [
            f"{tag}: {' or '.join(get_args(form.model_fields[tag].annotation))}. "
            for tag in TAGS & form.model_fields.keys()
        ]
        console.print(f"{''.join(tags)}{(form.__doc__ or '').strip()}", markup=False, soft_wrap=True)
        if rows := parameters(form, f"{path}.NAME" if get_origin(annotation) is dict else path):
            console.print(_table(rows))
        console.print()


def _table(rows: Iterable[tuple[str, str, str]]) -> Table:
    """The rows; in a narrow terminal without what every name begins with, and that is said."""
    narrow = console.width < _WIDE
    table = Table(show_edge=False, title=f"below {_PREFIX}" if narrow else None, title_justify="left")
    for title in ("setting", "default", "meaning"):
        table.add_column(title, no_wrap=title == "setting", overflow="fold", min_width=len(title))
    for name, default, meaning in rows:
        table.add_row(name.removeprefix(f"{_PREFIX}." if narrow else ""), default, meaning)
    return table


def _meant(name: str, names: Iterable[str]) -> str:
    near = get_close_matches(name, list(names), n=1)
    return f", did you mean {near[0]}?" if near else ""


def parameters(model: type[BaseModel], prefix: str, given: BaseModel | None = None) -> list[tuple[str, str, str]]:
    """Name, default and meaning of each setting below ``prefix``; those of a section one by one.

    ``given`` is the section as the one above it has it by default, which may differ from the section's own defaults.
    """
    rows = []
    for name, field in model.model_fields.items():
        required = given is None and field.is_required()
        default = None if required else _default(name, field, given)
        section = field.annotation
        if isinstance(section, type) and issubclass(section, BaseModel):
            rows += parameters(section, f"{prefix}.{name}", default if isinstance(default, BaseModel) else None)
        elif name not in TAGS:
            shown = "required" if required else _text(default)
            named = _named_sections(default, f"{prefix}.{name}")
            rows += named or [(f"{prefix}.{name}", shown, field.description or "")]
            if not named and get_origin(section) is dict:
                rows += [row for form in _forms(section) for row in parameters(form, f"{prefix}.{name}.NAME")]
    return rows


def _default(name: str, field: FieldInfo, given: BaseModel | None) -> Any:  # noqa: ANN401 - any default
    return field.get_default(call_default_factory=True) if given is None else getattr(given, name)


def _named_sections(default: Any, prefix: str) -> list[tuple[str, str, str]]:  # noqa: ANN401 - any default
    """The kind and every parameter of each section of a default that holds them by name, such as the signals."""
    if not isinstance(default, dict) or not all(isinstance(each, BaseModel) for each in default.values()):
        return []
    rows = []
    for name, section in default.items():
        said = (section.__doc__ or "").strip().splitlines()[0]
        rows += [
            (f"{prefix}.{name}.{tag}", _text(getattr(section, tag)), said)
            for tag in TAGS & type(section).model_fields.keys()
        ]
        rows += parameters(type(section), f"{prefix}.{name}", section)
    return rows


def _forms(annotation: Any) -> list[type[BaseModel]]:  # noqa: ANN401 - any annotation
    """The models that a setting, or each value of one that holds them by name, may be."""
    if get_origin(annotation) in (Union, UnionType):
        return [model for member in get_args(annotation) for model in _forms(member)]
    if get_origin(annotation) is Annotated:
        return _forms(get_args(annotation)[0])
    if get_origin(annotation) is dict:
        return _forms(get_args(annotation)[1])
    return [annotation] if isinstance(annotation, type) and issubclass(annotation, BaseModel) else []


def _text(value: Any) -> str:  # noqa: ANN401 - any default
    return json.dumps(to_jsonable_python(value))
