"""``algotrade strategies``: which strategies there are, and what each can be told."""

import json
from types import UnionType
from typing import Annotated, Any, Union, get_args, get_origin

import typer
from pydantic import BaseModel
from pydantic.fields import FieldInfo
from rich.table import Table

from launcher.endings import RunRefused, reported
from launcher.kafka_options import console
from strategy_plane.settings import StrategySettings

app = typer.Typer(name="strategies", help="The strategies there are.", no_args_is_help=True)


def known() -> dict[str, type[BaseModel]]:
    """The settings of every strategy by each name it goes by, sorted."""
    found: dict[str, type[BaseModel]] = {}
    for model in _members(StrategySettings.model_fields["strategy"].annotation):
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
def show_strategy(name: Annotated[str, typer.Argument(help="A name of `strategies list`.")]) -> None:
    """Show every parameter of a strategy: its dotted name in a configuration, its default and its meaning."""
    with reported():
        model = known().get(name)
        if model is None:
            raise RunRefused(f"there is no strategy {name}; `algotrade strategies list` shows all")
        table = Table(show_edge=False)
        for title in ("setting", "default", "meaning"):
            table.add_column(title, no_wrap=title == "setting")
        for path, default, meaning in parameters(model, "strategy.strategy"):
            table.add_row(path, default, meaning)
        console.print((model.__doc__ or "").strip(), markup=False)
        console.print(table)


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
        elif name != "name":
            shown = "required" if required else _text(default)
            named = _named_sections(default, f"{prefix}.{name}")
            rows += named or [(f"{prefix}.{name}", shown, field.description or "")]
    return rows


def _default(name: str, field: FieldInfo, given: BaseModel | None) -> Any:  # noqa: ANN401 - any default
    return field.get_default(call_default_factory=True) if given is None else getattr(given, name)


def _named_sections(default: Any, prefix: str) -> list[tuple[str, str, str]]:  # noqa: ANN401 - any default
    """A row for each section of a default that holds sections by name, such as the signals of an ensemble."""
    if not isinstance(default, dict) or not all(isinstance(each, BaseModel) for each in default.values()):
        return []
    return [
        (f"{prefix}.{name}", _text(section), (section.__doc__ or "").strip().splitlines()[0])
        for name, section in default.items()
    ]


def _members(annotation: Any) -> list[type[BaseModel]]:  # noqa: ANN401 - any annotation
    if get_origin(annotation) in (Union, UnionType):
        return [model for member in get_args(annotation) for model in _members(member)]
    return [annotation]


def _text(value: Any) -> str:  # noqa: ANN401 - any default
    if isinstance(value, BaseModel):
        value = value.model_dump(mode="json")
    return json.dumps(value, default=str)
