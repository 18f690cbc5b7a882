"""What holds of the simulated market and its matching for every seed and every stream of orders."""

from datetime import date
from math import isclose

from hypothesis import given, settings
from hypothesis import strategies as st

from ibkr_sim.account import Account
from ibkr_sim.listing import Listing
from ibkr_sim.market_time import moment_of
from ibkr_sim.order import Order, Status
from ibkr_sim.order_book import OrderBook, Venue
from ibkr_sim.synthetic_bars import minute_bars
from ibkr_sim.tape import Bar, Tape, whole
from ibkr_sim.wire import frame, frames

OPEN = moment_of(date(2024, 7, 8), 9, 30)
LISTING = Listing("AAPL", 265598)
CENTS = st.integers(9_000, 11_000).map(lambda cents: cents / 100)


class Heard:
    """A listener that keeps what it is told."""

    def __init__(self):
        self.fills, self.ended = [], []

    def changed(self, order):
        """Nothing to keep."""

    def filled(self, order, execution):
        """Keep the fill."""
        self.fills.append(execution)

    def cancelled(self, order, code, text):
        """Keep the end."""
        self.ended.append(order)


def _order(number, action, kind, quantity, price, tif):
    form = {"transmit": "1"}
    limit, stop = (price if kind in ("LMT", "STP LMT") else None), (price if "STP" in kind else None)
    return Order(1, number, number, LISTING, form, action, float(quantity), kind, limit, stop, tif, "DU1", due=OPEN)


ORDERS = st.lists(
    st.tuples(
        st.sampled_from(["BUY", "SELL"]),
        st.sampled_from(["MKT", "LMT", "STP", "STP LMT"]),
        st.integers(1, 3000),
        CENTS,
        st.sampled_from(["DAY", "GTC", "IOC", "FOK"]),
    ),
    min_size=1,
    max_size=8,
)


def _play(seed, wishes, venue, cancel_at):
    tape = Tape("AAPL", minute_bars("AAPL", seed, sessions=1)[:2], seed)
    account, heard = Account("DU1", 1e7), Heard()
    book = OrderBook({"DU1": account}, venue, heard, "p")
    prints = tape.prints_between(OPEN - 1, OPEN + 60)
    scale = prints[0].price / 100
    for number, (action, kind, quantity, price, tif) in enumerate(wishes, 1):
        book.add(_order(number, action, kind, quantity, round(price * scale, 2), tif))
    for number, quote in enumerate(prints):
        book.match("AAPL", quote, quote.time)
        if number == cancel_at:
            for order in book.open_orders():
                book.end(order, quote.time)
    return book, account, heard, prints


@settings(max_examples=40)
@given(st.integers(0, 50), ORDERS, st.sampled_from([0.0, 7.0, 100.0]), st.integers(0, 70))
def test_shares_and_cash_are_conserved(seed, wishes, largest, cancel_at):
    book, account, heard, _ = _play(seed, wishes, Venue(1.0, largest), cancel_at)
    signed = [(fill.shares if fill.order.buys else -fill.shares) for fill in heard.fills]
    paid = sum(shares * fill.price for shares, fill in zip(signed, heard.fills, strict=True))
    fees = sum(fill.commission for fill in heard.fills)
    assert account.quantity(265598) == sum(signed)
    assert isclose(account.cash, 1e7 - paid - fees, abs_tol=1e-4)
    for order in book.orders.values():
        assert order.filled == sum(execution.shares for execution in order.executions) <= order.quantity
        assert (order.status is Status.FILLED) is (order.filled == order.quantity)
        assert all(not largest or execution.shares <= largest for execution in order.executions)
    assert len({fill.exec_id for fill in heard.fills}) == len(heard.fills)


@settings(max_examples=40)
@given(st.integers(0, 50), ORDERS)
def test_no_order_trades_through_its_limit_or_more_than_is_displayed(seed, wishes):
    _, _, heard, prints = _play(seed, wishes, Venue(), 99)
    quotes = {quote.time: quote for quote in prints}
    taken = {}
    for fill in heard.fills:
        order, quote = fill.order, quotes[fill.time]
        assert fill.price == (quote.ask if order.buys else quote.bid)
        if order.limit is not None:
            assert fill.price <= order.limit if order.buys else fill.price >= order.limit
        side = (fill.time, order.buys)
        taken[side] = taken.get(side, 0) + fill.shares
    for (time, buys), shares in taken.items():
        assert shares <= (quotes[time].ask_size if buys else quotes[time].bid_size)


@settings(max_examples=20)
@given(st.integers(0, 50), ORDERS, st.integers(0, 70))
def test_the_same_orders_in_the_same_market_fill_alike(seed, wishes, cancel_at):
    def fills():
        _, account, heard, _ = _play(seed, wishes, Venue(), cancel_at)
        return account.cash, [(fill.exec_id, fill.time, fill.price, fill.shares) for fill in heard.fills]

    assert fills() == fills()


@given(
    st.integers(0, 1000),
    st.tuples(CENTS, CENTS, CENTS, CENTS),
    st.integers(0, 100_000),
    st.sampled_from([5.0, 60.0, 300.0, 3600.0, 23_400.0]),
)
def test_the_prints_of_any_bar_make_that_bar(seed, prices, volume, length):
    opened, closed = prices[0], prices[1]
    bar = Bar(OPEN, OPEN + length, opened, max(prices), min(prices), closed, float(volume), closed, 1)
    tape = Tape("X", [bar], seed)
    again = whole(tape.prints(0), bar.start, bar.end)
    found = (again.open, again.high, again.low, again.close, again.volume)
    assert found == (bar.open, bar.high, bar.low, bar.close, bar.volume)


@given(st.lists(st.binary(max_size=200), max_size=20), st.integers(1, 50))
def test_frames_survive_any_cutting(payloads, size):
    data, buffer, found = b"".join(map(frame, payloads)), bytearray(), []
    for start in range(0, len(data), size):
        buffer += data[start : start + size]
        found += list(frames(buffer))
    assert found == payloads
