"""Stage 3: the interface to Interactive Brokers, from the tables that the code itself runs on."""

import ast
import inspect
from collections import defaultdict
from datetime import UTC, datetime
from itertools import groupby
from uuid import UUID

from contracts.trading import OrderIntent, OrderType, Side, TimeInForce
from gates.artifact import AnyArtifact, Check, InterfaceMap
from gates.context import Context, check
from gates.render import document, table
from gates.sources import members_with_meaning, methods, parsed
from ibkr_client import error_policy, messages
from ibkr_client.contracts import ContractTerms, Qualified
from ibkr_client.error_policy import OnOrder, on_order
from ibkr_client.inbox import Inbox
from kernel.code_version import ROOT
from order_plane.brokers.ibkr import IbkrBroker
from order_plane.brokers.ibkr_form import order_form
from order_plane.brokers.port import Broker, CancelsTogether, NamesExecutions, Overlapping, Preparing, Remote

Rows = tuple[tuple[str, ...], ...]
_PORTS = (Broker, Overlapping, Preparing, CancelsTogether, NamesExecutions, Remote)
"""What the order plane asks of any venue, and of one like this."""
_CODES = range(1, 20_000)
_AT = datetime(2026, 1, 5, 15, 0, tzinfo=UTC)
_LINK = {
    "PACING": "too many messages; the third time the gateway closes the connection",
    "SIMULATOR": "the gateway says that it is a simulator",
    "CLIENT_ID_IN_USE": "another program is connected with this client id",
    "LINK_DOWN": "the gateway has lost its own link: no new order is sent",
    "LINK_UP": "the link is back: everything is asked for before anything is sent",
    "PORT_RESET": "the gateway changes its port",
    "FARM_BROKEN": "a data farm is broken: no bar is made of what it gives",
    "FARM_BACK": "a data farm is back, or inactive until it is asked: what needs it is asked for again",
    "BARS_ENDED": "a subscription to bars is dead: it is asked for again",
}


def run(context: Context) -> AnyArtifact:
    """Map the interface and check that nothing is left unmapped."""
    found = tables()
    return context.finish(3, checks(), InterfaceMap(tables=found), {"IBKR_INTERFACE_MAP.md": page()})


def page() -> str:
    """The map as Markdown; nothing in it depends on when or where it is made."""
    parts = [[f"## {title}", "", *table(rows[0], rows[1:])] for title, rows in tables().items()]
    intro = ["Generated from the code by `algotrade gates export`; a test holds this file against it."]
    return document("The interface to Interactive Brokers", intro, *parts)


def tables() -> dict[str, Rows]:
    """Every table by its title; the first row of each holds the headings."""
    return {
        "Operations of the broker's port": _operations(),
        "Requests": _requests(),
        "Callbacks": _callbacks(),
        "Fields of what the gateway says": _fields(),
        "Orders": _orders(),
        "Error codes on an order": _codes(),
        "Other codes": _link(),
    }


def checks() -> list[Check]:
    """Whether adapter, orders, codes and callbacks are complete."""
    port = {name: owner for owner in _PORTS for name, _ in inspect.getmembers(owner) if not name.startswith("_")}
    missing = sorted(name for name in port if not hasattr(IbkrBroker, name))
    there = sorted(set(port) - set(missing))
    other = [name for name in there if _parameters(port[name], name) != _parameters(IbkrBroker, name)]
    unformed = sorted({each.value for each in OrderType} - {row[0] for row in _orders()[1:]})
    unknown = sorted(set(OnOrder) - {OnOrder(row[1]) for row in _codes()[1:]})
    deaf = [row[0] for row in _callbacks()[1:] if not row[0]]
    return [
        check(
            "the adapter has every operation of the port",
            not (missing or other),
            "all, alike",
            missing + other or "all",
        ),
        check("order types", not unformed, "each becomes an order", unformed or "all"),
        check(
            "error codes", not unknown, "each answer of the policy has codes", [each.value for each in unknown] or "all"
        ),
        check("callbacks", not deaf, "each has a handler", deaf or "all"),
    ]


def _operations() -> Rows:
    tree = parsed(ROOT / "order_plane" / "brokers" / "port.py")
    adapter = {each.name: each for each in methods(parsed(ROOT / "order_plane" / "brokers" / "ibkr.py"), "IbkrBroker")}
    rows = [
        (each.name, _first_line(each), _first_line(adapter[each.name]) if each.name in adapter else "missing")
        for owner in _PORTS
        for each in methods(tree, owner.__name__)
    ]
    return (("operation", "what the port promises", "what this adapter does"), *rows)


def _requests() -> Rows:
    rows = []
    for each in methods(parsed(ROOT / "ibkr_client" / "connection.py"), "Connection"):
        sent = sorted(
            {
                node.attr
                for node in ast.walk(each)
                if isinstance(node, ast.Attribute)
                and isinstance(node.value, ast.Attribute)
                and node.value.attr == "_raw"
            }
        )
        if sent:
            rows.append((each.name, ", ".join(sent), _first_line(each)))
    return (("method", "TWS API", "meaning"), *rows)


def _callbacks() -> Rows:
    calls = Inbox(messages.Deaf())._calls
    return (
        ("callback", "handled by"),
        *((name, getattr(call, "__name__", "")) for name, call in sorted(calls.items())),
    )


def _fields() -> Rows:
    kinds = [kind for _, kind in inspect.getmembers(messages, inspect.isclass) if hasattr(kind, "_fields")]
    rows = [
        (kind.__name__, name, getattr(kind.__annotations__[name], "__name__", str(kind.__annotations__[name])))
        for kind in sorted(kinds, key=lambda kind: kind.__name__)
        for name in kind._fields
    ]
    return (("message", "field", "type"), *rows)


def _orders() -> Rows:
    contract = Qualified(1, "AAPL", ContractTerms(), ((0.0, 0.01),), 1.0)
    rows = []
    for kind in OrderType:
        limit = kind in {OrderType.LIMIT, OrderType.STOP_LIMIT}
        stop = kind in {OrderType.STOP, OrderType.STOP_LIMIT}
        intent = OrderIntent(
            intent_id=UUID(int=1),
            symbol="AAPL",
            direction=Side.BUY,
            quantity=1.0,
            order_type=kind,
            timestamp=_AT,
            limit_price=10.0 if limit else None,
            stop_price=10.0 if stop else None,
            time_in_force=TimeInForce.DAY,
        )
        form = order_form(intent, "account", contract)
        algo = ", ".join(f"{name}={value}" for name, value in form.algo.items())
        rows.append((kind.value, str(form.fields["orderType"]), ", ".join(sorted(form.fields)), algo))
    return (("order type", "orderType", "fields", "algorithm"), *rows)


def _codes() -> Rows:
    meaning = members_with_meaning(parsed(ROOT / "ibkr_client" / "error_policy.py"), "OnOrder")
    by_answer: dict[OnOrder, list[int]] = defaultdict(list)
    for code in _CODES:
        by_answer[on_order(code)].append(code)
    rows = [
        (
            "any other" if answer is OnOrder.UNKNOWN else _ranges(by_answer[answer]),
            answer.value,
            meaning[answer.name],
        )
        for answer in OnOrder
    ]
    return (("codes", "answer", "meaning"), *rows)


def _link() -> Rows:
    rows = []
    for name, meaning in _LINK.items():
        value = getattr(error_policy, name)
        rows.append((_ranges([value] if isinstance(value, int) else sorted(value)), name, meaning))
    return (("codes", "name", "what is done"), *rows)


def _ranges(codes: list[int]) -> str:
    """Codes with runs of more than two drawn together."""
    texts = []
    for _, run_of in groupby(enumerate(codes), lambda pair: pair[1] - pair[0]):
        members = [code for _, code in run_of]
        texts.append(f"{members[0]} to {members[-1]}" if len(members) > 2 else " ".join(map(str, members)))
    return " ".join(texts)


def _parameters(owner: type, name: str) -> list[str]:
    member = inspect.getattr_static(owner, name)
    return [] if isinstance(member, property) else list(inspect.signature(member).parameters)


def _first_line(function: ast.FunctionDef | ast.AsyncFunctionDef) -> str:
    return (ast.get_docstring(function) or "").partition("\n")[0]
