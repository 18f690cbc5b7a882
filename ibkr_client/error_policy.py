"""What each error code of the gateway means for an order and for the link, as one table."""

from collections.abc import Mapping
from enum import StrEnum
from types import MappingProxyType


class OnOrder(StrEnum):
    """What an error on an order says of it."""

    REFUSED = "REFUSED"
    """The order does not exist, or ended without trading more."""
    CANCELLED = "CANCELLED"
    """The order was cancelled; its status says so too."""
    NOTICE = "NOTICE"
    """Nothing changed."""
    UNCHANGED = "UNCHANGED"
    """A cancel or change was refused; the order lives or has ended before: ask."""
    UNKNOWN = "UNKNOWN"
    """Anything may be true: ask, and never take the order for dead."""


class Farm(StrEnum):
    """The kinds of servers that the gateway has its data from; of each there may be several, with names."""

    MARKET = "MARKET"
    HISTORY = "HISTORY"
    DEFINITIONS = "DEFINITIONS"


_REFUSED = (109, 110, 200, 201, 203, 321, 382, 383, 387, 434, 435, 451, 10243, 10289, 10293)
_NOTICES = (399, 404, 10167, 10349)
_UNCHANGED = (104, 105, 106, 107, 161, 329, 10147, 10148)
ORDER_POLICY: Mapping[int, OnOrder] = MappingProxyType(
    dict.fromkeys(_REFUSED, OnOrder.REFUSED)
    | dict.fromkeys(_NOTICES, OnOrder.NOTICE)
    | dict.fromkeys(_UNCHANGED, OnOrder.UNCHANGED)
    | {202: OnOrder.CANCELLED}
)
"""Every code of which it is certain what it says of an order."""
PACING = 100
HISTORY = 162
"""The service of past bars refuses, has none, or says that it cancelled a request as it was asked to."""
SIMULATOR = 2199
"""The simulator's notice at each connection that it is one."""
CLIENT_ID_IN_USE = 326
PORT_RESET = 1300
"""The gateway changes its port, and will close the connection."""
LINK_DOWN = frozenset({1100, 2110, PORT_RESET})
"""The gateway has lost its own link: new orders would wait there."""
LINK_UP = frozenset({1101, 1102})
"""The link is back; what happened meanwhile was not told."""
FARM_BROKEN: Mapping[int, Farm] = MappingProxyType({2103: Farm.MARKET, 2105: Farm.HISTORY, 2157: Farm.DEFINITIONS})
FARM_BACK: Mapping[int, Farm] = MappingProxyType(
    dict.fromkeys((2104, 2108), Farm.MARKET) | dict.fromkeys((2106, 2107), Farm.HISTORY) | {2158: Farm.DEFINITIONS}
)
"""A farm is connected, or inactive until it is asked for something."""
BARS_ENDED = frozenset({10182, 10225})
"""A subscription to bars is dead and must be asked for again."""
_WARNINGS = range(2100, 2200)


def on_order(code: int) -> OnOrder:
    """What ``code`` says of the order that it names; every code that is not known for certain is UNKNOWN."""
    if code in _WARNINGS:
        return OnOrder.NOTICE
    return ORDER_POLICY.get(code, OnOrder.UNKNOWN)


def ends_request(code: int) -> bool:
    """Whether an error that names a request is its answer, or one that names a subscription its end."""
    return code not in _WARNINGS and code not in {10167, 10168, 10090}


def answers_cancel(code: int, text: str) -> bool:
    """Whether an error says no more than that a request for bars was cancelled."""
    return code == HISTORY and "query cancelled" in text.lower()
