"""Interactive Brokers behind the broker port, through TWS or IB Gateway."""

from collections import Counter
from collections.abc import Coroutine, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any, TypeVar
from uuid import UUID

from contracts.market import BarEvent
from ibkr_client.connection import ConnectionLost, RequestRefused
from ibkr_client.contracts import ContractTerms
from ibkr_client.error_policy import SIMULATOR
from ibkr_client.gateway_errors import GatewayRefused
from ibkr_client.library import load_library
from ibkr_client.lifeline import Address, Lifeline, Unusable
from ibkr_client.loop_thread import LoopThread
from ibkr_client.refusals import explained
from ibkr_client.witness import Witness, witness
from kernel.ports import Clock
from order_plane.brokers.ibkr_account import Account, snapshot_of
from order_plane.brokers.ibkr_answers import clear
from order_plane.brokers.ibkr_ids import OrderIds
from order_plane.brokers.ibkr_session import Session, spread
from order_plane.brokers.ibkr_tracked import fill_number
from order_plane.brokers.ibkr_venue import Terms, Venue
from order_plane.brokers.port import BrokerStateUnknown, BrokerUnavailable, KeyLife, Outcome, Reply, Snapshot
from order_plane.effects import CancelOrder, ReplaceOrder, SubmitOrder
from order_plane.facts import Fact
from order_plane.gates import GoLiveTerms, require_open_gates

PAPER_PORTS = frozenset({4002, 7497})
LIVE_PORTS = frozenset({4001, 7496})
_PAPER_ACCOUNTS = ("DU", "DF")
_SLACK_SECONDS = 5.0
_SILENT, _UNANSWERED = "the gateway did not answer in time", "the order was not answered in time"
Result = TypeVar("Result")


class WrongAccount(GatewayRefused):
    """Port, account and mode do not agree; nothing is sent anywhere."""


@dataclass(frozen=True, slots=True)
class IbkrTerms:
    """Where the gateway is and whose account is traded.

    ``live`` says what the caller was told to trade with, and everything else must agree. ``paper_ports`` are ports of
    a paper gateway besides its own two, such as that of a simulator or a container. ``answer_seconds`` is how long an
    order may go unanswered before its outcome counts as unknown.
    """

    address: Address
    account: str
    ids_path: Path
    live: bool = False
    paper_ports: frozenset[int] = frozenset()
    answer_seconds: float = 5.0
    contracts: Mapping[str, ContractTerms] = field(default_factory=dict)
    adaptive_priority: str = "Normal"
    go_live: GoLiveTerms | None = None


def require_agreement(terms: IbkrTerms) -> None:
    """Return only when port and account are both of paper trading, or both of live trading, as ``terms.live`` says.

    Raises:
        WrongAccount: naming what does not agree.
    """
    if terms.paper_ports & LIVE_PORTS:
        raise WrongAccount("paper_ports names a port of live trading (4001 or 7496); remove it")
    port, paper_account = terms.address.port, terms.account.startswith(_PAPER_ACCOUNTS)
    if terms.live:
        problems = [
            (port not in LIVE_PORTS, f"port {port} is not one of live trading (4001, 7496)"),
            (paper_account, "the account is one of paper trading (DU or DF)"),
        ]
    else:
        where = "4002, 7497; order.ibkr.paper_ports may name one of a simulator or container"
        problems = [
            (port not in PAPER_PORTS | terms.paper_ports, f"port {port} is not one of paper trading ({where})"),
            (not paper_account, "the account is not one of paper trading (DU or DF)"),
        ]
    if terms.go_live is not None and terms.go_live.account != terms.account:
        problems.append((True, "the go-live terms name another account"))
    wrong = "; ".join(text for is_wrong, text in problems if is_wrong)
    if wrong:
        wanted = "live" if terms.live else "paper"
        raise WrongAccount(f"trading is {wanted}, and {wrong}. Make account, port and mode agree")


def unsuitable(terms: IbkrTerms, accounts: Sequence[str], *, simulated: bool) -> str:
    """Why a gateway with ``accounts`` must not be traded with; empty when it may."""
    if terms.account not in accounts:
        return "the gateway does not have the account; correct order.account or log in with another user"
    if terms.live and simulated:
        return "trading is live, and the gateway says that it is a simulator"
    paper = [name.startswith(_PAPER_ACCOUNTS) for name in accounts]
    if any(paper) if terms.live else not all(paper):
        return "the gateway has accounts of the other kind, paper and live; use another login"
    return ""


class IbkrBroker:
    """A synchronous front; who calls it runs its event loop meanwhile, and a thread of its own all other time.

    Order state is never the library's: this adapter hears raw messages, and turns them into facts. Whatever is not
    certain is asked of the gateway, and what even that leaves open is `BrokerStateUnknown`.

    Raises:
        WrongAccount: when port, accounts of the gateway, and mode do not agree.
        LiveTradingRefused: for a live account, naming the gates that are shut in ``environment``.
        BrokerUnavailable: when the gateway cannot be reached.
        LibraryMissing: when no client library is installed.
    """

    def __init__(self, terms: IbkrTerms, environment: Mapping[str, str], library: str | None = None) -> None:
        require_agreement(terms)
        if terms.live:
            require_open_gates(environment, terms.go_live)
        self._terms = terms
        self._seen: dict[str, datetime] = {}
        self._lifeline: Lifeline | None = None
        self._closed = False
        self._ids = OrderIds(terms.ids_path, terms.account, terms.address.client_id)
        self._loop = LoopThread("ibkr-orders")
        # One request may wait for the socket, for its turn, for its answer, and for the answers to three questions.
        self._longest = 4 * terms.address.patience + terms.answer_seconds + _SLACK_SECONDS
        try:
            self._loop.call(self._start(library), self._longest)
        except (ConnectionLost, RequestRefused, TimeoutError, OSError) as error:
            self.close()
            raise BrokerUnavailable(explained(error, terms.address)) from None
        except Unusable as refusal:
            self.close()
            raise WrongAccount(str(refusal)) from None
        except BaseException:
            self.close()
            raise

    @property
    def key_life(self) -> KeyLife:
        """The gateway takes any number of orders with one label; only our own file of ids prevents a second one."""
        return KeyLife.NONE

    @property
    def converts(self) -> bool:
        """The gateway advises against changing anything but size, prices and time in force of an order."""
        return False

    @property
    def dormant(self) -> bool:
        """Never: a gateway may speak at any time."""
        return False

    @property
    def clock(self) -> Clock:
        """The gateway's own time."""
        return self._venue.lifeline.clock

    @property
    def connects(self) -> int:
        """How often the gateway was connected to."""
        return self._venue.lifeline.connects

    @property
    def heard(self) -> Counter[int]:
        """Errors and notices of the gateway so far, by code."""
        return Counter(self._venue.lifeline.heard)

    def witness(self) -> Witness:
        """What tells of this connection whether a market is behind it; raises as `lookup` does."""
        try:
            return self._loop.call(self._witness(), self._longest)
        except TimeoutError:
            raise BrokerStateUnknown("the gateway did not answer in time") from None

    @property
    def ready(self) -> bool:
        """Whether orders can be sent now."""
        return self._venue.lifeline.connection is not None

    def submit(self, order: SubmitOrder) -> Sequence[Fact]:
        """Send ``order``, once, and return what the gateway says at once; raises as the port says."""
        return self.dispatch(order)()

    def prepare(self, order: SubmitOrder) -> bool:
        """Look up the contract of ``order``, unless it is known."""
        symbol = order.intent.symbol
        if not self._venue.contracts.knows(symbol):
            try:
                self._loop.call(self._session.prepare(symbol), self._longest)
            except TimeoutError:
                raise BrokerUnavailable("the contract could not be looked up in time") from None
        return True

    def dispatch(self, order: SubmitOrder) -> Reply:
        """Send ``order``, once; what is returned waits for the gateway's answer."""
        sent = self._waited_for(self._session.dispatch(order))
        return lambda: self._waited_for(self._session.answer(sent))

    def cancel(self, order: CancelOrder) -> Sequence[Fact]:
        """Ask for a cancel; that it happened comes with `drain` unless it is known at once."""
        (outcome,) = self.cancel_together([order])
        if isinstance(outcome, Exception):
            raise outcome
        return outcome

    def cancel_together(self, orders: Sequence[CancelOrder]) -> Sequence[Outcome]:
        """Ask for all these cancels, and wait for their answers at the same time."""
        try:
            return self._loop.call(self._session.cancel_together(orders), self._longest + spread(len(orders)))
        except TimeoutError:
            return [BrokerStateUnknown("the cancel was not answered in time") for _ in orders]

    def replace(self, order: ReplaceOrder) -> Sequence[Fact]:
        """Change size and prices of an order under its order id, and wait until the gateway shows them."""
        try:
            return self._loop.call(self._session.replace(order), self._longest)
        except TimeoutError:
            raise BrokerStateUnknown("the change was not answered in time") from None

    def drain(self) -> Sequence[Fact]:
        """Facts since the last call."""
        news = self._venue.news
        return [news.popleft() for _ in range(len(news))]

    def lookup(self, intent_id: UUID) -> Sequence[Fact] | None:
        """Every fact of an order, from open orders, completed orders and executions of today."""
        return self._waited_for(self._session.lookup(intent_id), _SILENT)

    def traded(self, intent_id: UUID) -> float:
        """Units traded by the gateway's word, which counts those of earlier days, too."""
        order = self._venue.book.of_intent(intent_id)
        return 0.0 if order is None else order.traded

    def snapshot(self) -> Snapshot:
        """Orders that work, ours that ended today, today's executions of ours, units by symbol, and cash."""
        return snapshot_of(self.account(), self._venue.book, self._venue.contracts.symbol_of)

    def account(self) -> Account:
        """Everything the gateway lists of the account, cash and completed orders too; raises as `lookup` does."""
        return self._waited_for(self._session.account(), _SILENT)

    def execution(self, name: str) -> tuple[str, int]:
        """What an execution shares with its corrections, and the number of this one."""
        return fill_number(name)

    def observe(self, bar: BarEvent) -> None:
        """Remember the event time, which the gateway does not tell of an end, and look a new symbol up meanwhile."""
        if bar.symbol not in self._seen:
            self._loop.start(self._session.prepare(bar.symbol, order=False))  # if in vain, `prepare` asks again
        self._seen[bar.symbol] = bar.timestamp

    def rest(self) -> None:
        """Do what the file of order ids needs now and then."""
        self._ids.rest()

    def close(self) -> None:
        """Disconnect; orders keep working at the venue."""
        if self._closed:
            return
        self._closed = True
        try:
            self._loop.call(self._stop(), _SLACK_SECONDS)
        except TimeoutError:
            pass
        finally:
            self._loop.close()
            self._ids.close()

    def _waited_for(self, work: Coroutine[Any, Any, Result], silence: str = _UNANSWERED) -> Result:
        try:
            return self._loop.call(work, self._longest)
        except TimeoutError:
            raise BrokerStateUnknown(silence) from None

    async def _witness(self) -> Witness:
        line = self._venue.lifeline
        return await clear(witness(self._venue.connected(), line.accounts, line.heard, self._terms.address))

    async def _stop(self) -> None:
        if self._lifeline is not None:
            await self._lifeline.stop()

    async def _start(self, library: str | None) -> None:
        terms = self._terms
        known = Terms(terms.account, terms.answer_seconds, terms.contracts, terms.adaptive_priority)
        address = terms.address
        self._venue = Venue(load_library(library), address, known, self._ids, self._admit, self._seen.get)
        self._session = Session(self._venue, known, self._ids, address.client_id)
        self._lifeline = self._venue.lifeline
        await self._lifeline.start()

    def _admit(self, accounts: Sequence[str]) -> None:
        """Look at the accounts that the gateway has, at every connection."""
        wrong = unsuitable(self._terms, accounts, simulated=SIMULATOR in self._venue.lifeline.heard)
        if wrong:
            raise Unusable(wrong)
