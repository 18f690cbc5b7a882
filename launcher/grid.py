"""The variants of a configuration that a grid of settings makes."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import product
from typing import Any

from pydantic import ValidationError

from launcher.endings import RunRefused
from launcher.settings import Settings
from launcher.strategies_cli import TAGS
from launcher.tried import key_of
from order_plane.settings import OrderSettings
from strategy_plane.settings import StrategySettings

Section = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Variant:
    """One combination of the grid and the settings it makes."""

    name: str
    parameters: dict[str, object]
    settings: Settings


class NotOfThisForm(ValueError):
    """A setting of the grid belongs to another form, such as another optimizer, than the grid chose beside it."""


def variants_of(base: Settings) -> tuple[list[Variant], list[str]]:
    """The configuration itself and every valid combination of its grid, each once; why others were left out.

    Raises:
        RunRefused: when the grid names what is no setting of the configuration.
    """
    found = {key_of(base): Variant("as configured", {}, base)}
    refused: list[str] = []
    grid = base.validation.grid
    for values in product(*grid.values()) if grid else ():
        parameters: dict[str, object] = dict(zip(grid, values, strict=True))
        name = ", ".join(f"{key.rpartition('.')[2]}={value}" for key, value in parameters.items())
        try:
            settings = _changed(base, parameters)
        except ValidationError as error:
            refused.append(f"{name}: {error.errors(include_url=False, include_input=False)[0]['msg']}")
        except NotOfThisForm as error:
            refused.append(f"{name}: {error}")
        else:
            found[key_of(settings)] = Variant(name, parameters, settings)
    return list(found.values()), refused


def _changed(base: Settings, parameters: Mapping[str, object]) -> Settings:
    """``base`` with ``parameters`` by dotted name; only how it trades may differ, not what it trades on.

    Where they choose another form of a section, by its name or kind, what both forms have stays as it is, and the
    rest of the new form has its defaults.

    Raises:
        RunRefused: when a name is no setting of the configuration.
        NotOfThisForm: when it is none of the form that was chosen beside it.
        pydantic.ValidationError: when the values do not go together.
    """
    strategy, order = base.strategy, base.order
    forms = sorted((name for name in parameters if name.rpartition(".")[2] in TAGS), key=lambda name: name.count("."))
    for form in forms:
        sections = _sections(strategy, order)
        place, tag = _place(sections, form, ())
        before = dict(place)
        if before[tag] == parameters[form]:
            continue
        place.clear()
        place[tag] = parameters[form]
        sections = _sections(*_read(sections))
        place, _ = _place(sections, form, ())
        place |= {name: before[name] for name in place.keys() & before.keys() - {tag}}
        strategy, order = _read(sections)
    sections = _sections(strategy, order)
    for name in parameters.keys() - set(forms):
        place, last = _place(sections, name, forms)
        place[last] = parameters[name]
    strategy, order = _read(sections)
    return Settings(**{**dict(base), "strategy": strategy, "order": order})


def _sections(strategy: StrategySettings, order: OrderSettings) -> Section:
    return {"strategy": strategy.model_dump(mode="json"), "order": order.model_dump(mode="json")}


def _read(sections: Section) -> tuple[StrategySettings, OrderSettings]:
    strategy = StrategySettings.model_validate_json(json.dumps(sections["strategy"]), strict=True)
    return strategy, OrderSettings.model_validate_json(json.dumps(sections["order"]), strict=True)


def _place(sections: Section, name: str, forms: tuple[str, ...] | list[str]) -> tuple[Section, str]:
    """The section that holds the setting of that dotted name, and its last name; ``forms`` are tags of the grid."""
    *path, last = name.split(".")
    place: Any = sections
    for step in path:
        place = place.get(step) if isinstance(place, dict) else None
    if path and isinstance(place, dict) and last in place:
        return place, last
    if any(name.startswith(f"{form.rpartition('.')[0]}.") for form in forms):
        raise NotOfThisForm(f"{name} is no setting of this form")
    raise RunRefused(f"validation.grid: {name} is no setting below strategy or order of this configuration")
