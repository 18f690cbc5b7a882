"""YAML read the way people mean it: the core words of YAML 1.2, and no key twice."""

import re
from collections.abc import Hashable
from typing import Any

import yaml


class UnreadableYamlError(ValueError):
    """The text is no YAML that settings can be written in; says where and never repeats the text."""


class _Loader(yaml.SafeLoader):
    """PyYAML reads YAML 1.1, where NO is false, 12:30:00 is 45000, 1e-3 is text and a repeated key wins silently."""

    def compose_node(self, parent: yaml.Node | None, index: int) -> yaml.Node | None:
        """Refuse references, with which a short text can unfold without end."""
        if self.check_event(yaml.AliasEvent):
            mark = self.peek_event().start_mark  # type: ignore[no-untyped-call]
            raise yaml.constructor.ConstructorError(None, None, "refers to another place", mark)
        return super().compose_node(parent, index)

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Hashable, Any]:
        """Refuse a key that stands twice."""
        mapping = super().construct_mapping(node, deep=deep)
        if len(mapping) != len(node.value):
            raise yaml.constructor.ConstructorError(None, None, "repeats a key", node.start_mark)
        return mapping


def _tag(name: str) -> str:
    return f"tag:yaml.org,2002:{name}"


_CORE = ("null", "bool", "int", "float", "str", "seq", "map")
_OTHERS = None  # under this key PyYAML keeps what refuses every other tag
_Loader.yaml_constructors = {
    tag: yaml.SafeLoader.yaml_constructors[tag] for tag in (*(_tag(name) for name in _CORE), _OTHERS)
}
_Loader.yaml_implicit_resolvers = {}
for _name, _pattern, _first in (
    ("null", r"~|null|Null|NULL|", ["~", "n", "N", ""]),
    ("bool", r"true|True|TRUE|false|False|FALSE", list("tTfF")),
    ("int", r"[-+]?(?:0|[1-9][0-9]*)", list("-+0123456789")),
    (
        "float",
        r"[-+]?(?:(?:[0-9]+\.[0-9]*|\.[0-9]+)(?:[eE][-+]?[0-9]+)?|[0-9]+[eE][-+]?[0-9]+)",
        list("-+.0123456789"),
    ),
):
    _Loader.add_implicit_resolver(_tag(_name), re.compile(rf"^(?:{_pattern})\Z"), _first)


def parse(text: str) -> object:
    """The single YAML document in ``text`` as plain Python values; None when there is none.

    Raises:
        UnreadableYamlError: with the place of the first fault.
    """
    try:
        value: object = yaml.load(text, _Loader)  # noqa: S506 - a safe loader with fewer types
    except yaml.constructor.ConstructorError as error:
        wrong = "repeats a key" if error.problem == "repeats a key" else "uses a YAML feature that settings do not need"
        raise UnreadableYamlError(wrong + _place(error.problem_mark)) from None
    except yaml.MarkedYAMLError as error:
        raise UnreadableYamlError("is not valid YAML" + _place(error.problem_mark)) from None
    except (yaml.YAMLError, RecursionError):
        raise UnreadableYamlError("is not valid YAML") from None
    return value


def _place(mark: yaml.Mark | None) -> str:
    return "" if mark is None else f" at line {mark.line + 1}, column {mark.column + 1}"
