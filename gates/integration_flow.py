"""Stage 2: the integration by its parts, from what the source code says of itself."""

import tomllib
from collections.abc import Iterator, Mapping, Sequence, Set
from pathlib import Path
from typing import NamedTuple

from gates.artifact import AnyArtifact, Breakdown, Check, Module
from gates.context import Context, check
from gates.render import checks_table, document, table
from gates.sources import imports, modules, parsed, sentence
from kernel.code_version import PACKAGES

PARTS: dict[str, tuple[tuple[str, ...], tuple[str, ...]]] = {
    "Commands": (("launcher.",), ("ibkr", "gates", "live", "rehearsal")),
    "Gates": (("gates.", "order_plane.", "domain."), ("gates", "go_live", "scale_up")),
    "Orders": (("order_plane.",), ("ibkr",)),
    "Market data": (("data_plane.",), ("ibkr",)),
    "Connection": (("ibkr_client.",), ("",)),
    "Simulator": (("ibkr_sim.",), ("",)),
}
"""Which modules make up each part: the beginning of their names, and a word in them."""
LAYERS = ("launcher", "gates", "backtest", "data_plane order_plane strategy_plane ibkr_sim", "ibkr_client")
"""Packages from the top down; none imports from above."""
FLOW = (
    "order intent → order_plane (controls, journal) → order_plane.brokers.ibkr → ibkr_client → TWS or IB Gateway",
    "TWS or IB Gateway → ibkr_client.inbox → order_plane.brokers.ibkr_book (facts) → journal → report",
    "TWS or IB Gateway → ibkr_client.inbox → data_plane.connectors.ibkr_live (closed bars) → market events",
)


class Source(NamedTuple):
    """One module as it is written."""

    does: str
    imports: frozenset[str]


def run(context: Context) -> AnyArtifact:
    """Break the integration down and check that nothing of it is left out."""
    sources, pure = dict(_sources(context.root)), _pure(context.root)
    found = {part: tuple(_modules_of(part, sources, pure)) for part in PARTS}
    names = [module.name for part in found.values() for module in part]
    integration = [name for name in sources if "ibkr" in name or "gates" in name]
    homeless = sorted(name for name in integration if names.count(name) != 1)
    silent = sorted(module.name for part in found.values() for module in part if not module.does)
    upward = sorted(_upward({name: sources[name] for name in names}))
    placed = ", ".join(homeless) or f"{len(names)} modules"
    checks = [
        check("every module has its place", not homeless, "in exactly one part", placed),
        check("every module says what it is", not silent, "one sentence", ", ".join(silent) or "all do"),
        check("layers go one way", not upward, "no import from above", ", ".join(upward) or "none"),
    ]
    flow = ["## Flow", "", *(f"* {each}" for each in FLOW)]
    page = document("How Interactive Brokers is integrated", flow, *_pages(found, checks))
    return context.finish(2, checks, Breakdown(parts=found), {"IBKR_INTEGRATION_FLOW.md": page})


def _pages(found: dict[str, tuple[Module, ...]], checks: Sequence[Check]) -> Iterator[list[str]]:
    for part, members in found.items():
        rows = [(each.name, each.does, "pure" if each.pure else "shell", ", ".join(each.uses)) for each in members]
        yield [f"## {part}", "", *table(("module", "what it is", "kind", "uses"), rows)]
    yield ["## Checks", "", *checks_table(checks)]


def _modules_of(part: str, sources: Mapping[str, Source], pure: Set[str]) -> Iterator[Module]:
    members = {name for each in PARTS for name in sources if _belongs(name, each)}
    for name, source in sources.items():
        if _belongs(name, part):
            uses = tuple(sorted(source.imports & members))
            yield Module(name=name, does=source.does, pure=name in pure, uses=uses)


def _belongs(name: str, part: str) -> bool:
    beginnings, words = PARTS[part]
    return name.startswith(beginnings) and any(word in name for word in words)


def _upward(sources: Mapping[str, Source]) -> Iterator[str]:
    rank = {package: place for place, layer in enumerate(LAYERS) for package in layer.split()}
    for name, source in sources.items():
        own = rank.get(name.partition(".")[0], -1)
        above = (each for each in source.imports if rank.get(each.partition(".")[0], own) < own)
        yield from (f"{name} imports {each}" for each in above)


def _sources(root: Path) -> Iterator[tuple[str, Source]]:
    for package in PACKAGES:
        for name, path in modules(root, package):
            tree = parsed(path)
            yield name, Source(sentence(tree), frozenset(imports(tree)))


def _pure(root: Path) -> set[str]:
    path = root / "pyproject.toml"
    if not path.exists():
        return set()
    rules = tomllib.loads(path.read_text("utf-8"))["tool"]["importlinter"]["contracts"]
    return {name for rule in rules if rule["id"] == "purity" for name in rule["source_modules"]}
