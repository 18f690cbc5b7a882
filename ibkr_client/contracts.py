"""Contracts by the platform's symbols, and the grids of price and size that they trade on."""

import asyncio
from collections import defaultdict
from collections.abc import Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from itertools import takewhile

from domain.instrument import round_down, round_up
from ibkr_client.connection import Connection
from ibkr_client.messages import ContractDetails

_LONGEST = 32
"""Characters of a symbol."""


class AmbiguousContract(Exception):
    """The symbol fits no contract, or several; the settings must say more."""


@dataclass(frozen=True, slots=True)
class ContractTerms:
    """How a symbol is looked up; ``symbol`` is the gateway's name where it differs from the platform's."""

    symbol: str = ""
    security_type: str = "STK"
    exchange: str = "SMART"
    currency: str = "USD"
    primary_exchange: str = ""


@dataclass(frozen=True, slots=True)
class Qualified:
    """One contract; ``steps`` are price increments as (from this price on, step), lowest first."""

    contract_id: int
    symbol: str
    terms: ContractTerms
    steps: tuple[tuple[float, float], ...]
    size_increment: float

    @property
    def fields(self) -> Mapping[str, object]:
        """The contract as an order names it."""
        return {
            "conId": self.contract_id,
            "symbol": self.symbol,
            "secType": self.terms.security_type,
            "exchange": self.terms.exchange,
            "currency": self.terms.currency,
        }

    def price_down(self, price: float) -> float:
        """The highest price of the grid that is not above ``price``."""
        return round_down(price, self._step(price))

    def price_up(self, price: float) -> float:
        """The lowest price of the grid that is not below ``price``."""
        return round_up(price, self._step(price))

    def size_down(self, quantity: float) -> float:
        """The largest quantity of the grid within ``quantity``."""
        return round_down(quantity, self.size_increment)

    def _step(self, price: float) -> float:
        below = list(takewhile(lambda each: each[0] <= price, self.steps))
        return below[-1][1] if below else self.steps[0][1]


class Contracts:
    """Looks symbols up; numbers and rules do not change within a session.

    What is looked up ahead goes one symbol after another, and what an order waits for goes before all of it.
    """

    def __init__(self, terms: Mapping[str, ContractTerms]) -> None:
        self._terms = dict(terms)
        self._found: dict[str, Qualified] = {}
        self._symbols: dict[int, str] = {}
        self._rules: dict[int, tuple[tuple[float, float], ...]] = {}
        self._turn = asyncio.Lock()
        # By symbol, and by rule: what is said of one does not name the request.
        self._asking: defaultdict[str | int, asyncio.Lock] = defaultdict(asyncio.Lock)

    def knows(self, symbol: str) -> bool:
        """Whether the contract of ``symbol`` was looked up."""
        return symbol in self._found

    async def qualified(self, connection: Connection, symbol: str, *, order: bool = False) -> Qualified:
        """The contract of ``symbol``; ``order`` says that an order waits for it.

        Raises:
            AmbiguousContract: when it is not exactly one.
            RequestRefused: with code 200 when the gateway knows none; else as every request.
        """
        known = self._found.get(symbol)
        if known is not None:
            return known
        async with nullcontext() if order else self._turn, self._asking[symbol]:
            return self._found.get(symbol) or await self._look_up(connection, symbol, order=order)

    async def _look_up(self, connection: Connection, symbol: str, *, order: bool) -> Qualified:
        found, terms = await self.described(connection, symbol, order=order), self._terms.get(symbol, ContractTerms())
        rule = _rule(found, terms.exchange)
        steps = () if rule is None else await self._steps(connection, rule, order=order)
        size_increment = found.size_increment or 1.0
        known = Qualified(found.contract_id, found.symbol, terms, steps or ((0.0, found.minimum_tick),), size_increment)
        self._found[symbol] = known
        self._symbols[known.contract_id] = symbol
        return known

    async def _steps(self, connection: Connection, rule: int, *, order: bool) -> tuple[tuple[float, float], ...]:
        async with self._asking[rule]:
            if rule not in self._rules:
                self._rules[rule] = tuple(await connection.market_rule(rule, order=order))
        return self._rules[rule]

    async def described(self, connection: Connection, symbol: str, *, order: bool = False) -> ContractDetails:
        """What the gateway says of the contract of ``symbol``; raises as `qualified` does."""
        terms = self._terms.get(symbol, ContractTerms())
        wanted = {
            "symbol": terms.symbol or symbol.replace(".", " "),
            "secType": terms.security_type,
            "exchange": terms.exchange,
            "currency": terms.currency,
            "primaryExchange": terms.primary_exchange,
        }
        details = await connection.contract_details(wanted, order=order)
        if len({each.contract_id for each in details}) != 1:
            raise AmbiguousContract(f"{symbol} fits {len(details)} contracts; name its primary_exchange in contracts")
        return details[0]

    def symbol_of(self, contract_id: int, name: str, security_type: str, currency: str) -> str:
        """The platform's symbol of a contract that the gateway calls ``name``.

        One that is nothing the settings would find, such as an option on a stock, has a name that no symbol has.
        """
        known = self._symbols.get(contract_id)
        if known is not None:
            return known
        kind, plain = (security_type, currency), name.replace(" ", ".")
        named = {symbol: terms for symbol, terms in self._terms.items() if terms.symbol == name} or {
            plain: self._terms.get(plain, ContractTerms())
        }
        fits = (symbol for symbol, terms in named.items() if (terms.security_type, terms.currency) == kind)
        return next(fits, f"{plain}.{security_type}.{contract_id}"[-_LONGEST:])


def _rule(details: ContractDetails, exchange: str) -> int | None:
    """The rule of ``exchange``: rules and exchanges are parallel."""
    rules: Sequence[int] = details.rule_ids
    if exchange in details.exchanges:
        place = details.exchanges.index(exchange)
        return rules[place] if place < len(rules) else None
    return rules[0] if rules else None
