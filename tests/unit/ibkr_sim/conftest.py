"""A gateway without sockets, and a client that speaks its protocol as text."""

from datetime import date

import pytest

from ibkr_sim.faults import Fault
from ibkr_sim.gateway import Gateway, GatewayRules
from ibkr_sim.layout import write
from ibkr_sim.market import Market
from ibkr_sim.market_time import moment_of
from ibkr_sim.requests import REQUESTS
from ibkr_sim.switchboard import Timetable
from ibkr_sim.synthetic_bars import minute_bars
from ibkr_sim.tape import Tape
from ibkr_sim.wire import frames, split

OPEN = moment_of(date(2024, 7, 9), 9, 30)
NUMBERS = {request.name: number for number, request in REQUESTS.items()}


class Wire:
    """A gateway and its clients; every message that was sent is kept by link."""

    def __init__(self, rules=None, start=OPEN, faults=(), speed=1.0, accounts=("DU1",)):
        tapes = [Tape(symbol, minute_bars(symbol, 3, sessions=4), 3) for symbol in ("AAPL", "MSFT")]
        rules = rules or GatewayRules(seed=3, message_rate=0)
        self.gateway = Gateway(Market(tapes), accounts, Timetable(start, speed), rules, faults)
        self.sent = {}
        self.closed = set()
        self.raw = b""

    def connect(self, client_id, link=None, offer="v157..176"):
        """Greet and start the API; the link is the client id unless told otherwise."""
        link = client_id if link is None else link
        self.gateway.greet(link, offer)
        self.gateway.receive(link, ["71", "2", str(client_id), ""])
        self._take()
        return link

    def say(self, link, name, **values):
        """Send a request; returns what it was answered at once."""
        texts = [str(NUMBERS[name]), *write(REQUESTS[NUMBERS[name]].layout, values, 176)]
        before = len(self.sent.get(link, []))
        self.gateway.receive(link, texts)
        self._take()
        return self.sent.get(link, [])[before:]

    def order(self, link, number, **fields):
        """Place a market order to buy 100 AAPL, or what ``fields`` say."""
        usual = {
            "reqId": number,
            "symbol": "AAPL",
            "secType": "STK",
            "exchange": "SMART",
            "currency": "USD",
            "action": "BUY",
            "totalQuantity": 100,
            "orderType": "MKT",
            "transmit": 1,
            "lmtPrice": "",
            "auxPrice": "",
            "conditions": "0",
        }
        return self.say(link, "placeOrder", **(usual | fields))

    def wait(self, until):
        """Let time pass until ``until`` seconds after the start."""
        self.gateway.advance(until)
        self._take()

    def inject(self, **fault):
        """Let a fault happen."""
        self.gateway.inject(Fault(**fault))
        self._take()

    def of(self, link, number):
        """Messages of a number that a link was sent."""
        return [texts for texts in self.sent.get(link, []) if texts[0] == str(number)]

    def statuses(self, link, order_id):
        """Statuses of an order as they were sent."""
        return [texts[2] for texts in self.of(link, 3) if texts[1] == str(order_id)]

    def codes(self, link):
        """Codes of errors and notices."""
        return [int(texts[3]) for texts in self.of(link, 4)]

    def orders(self):
        """The gateway's own orders, oldest first."""
        return list(self.gateway.orders.book.orders.values())

    def _take(self):
        for output in self.gateway.take_outputs():
            if output.data is None:
                self.closed.add(output.link)
                continue
            self.raw += output.data
            for payload in frames(bytearray(output.data)):
                self.sent.setdefault(output.link, []).append(split(payload))


@pytest.fixture
def wire():
    """A market that has just opened, real time, without limits on messages."""
    return Wire()


@pytest.fixture
def wired():
    """Make one with other rules."""
    return Wire
