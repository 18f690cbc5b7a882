"""What the account holds as the probe and the rehearsal see it: an option is not its stock."""

from gates.account_probe import Seen
from ibkr_client.messages import Position
from ibkr_client.witness import Witness

OURS, OTHER = "DU1", "DU2"


def seen(*positions):
    return Seen((OURS, OTHER), 1, (), positions, (), (), Witness(True, (OURS, OTHER), 0.0, "", "ib_async 2.1.0"))


def test_an_option_and_its_stock_are_two_things():
    stock = Position(OURS, 265598, "AAPL", 100.0, 190.0)
    option = Position(OURS, 7001, "AAPL", -1.0, 250.0, "OPT")
    other_option = Position(OURS, 7002, "AAPL", 1.0, 260.0, "OPT")
    foreign = Position(OURS, 7003, "AAPL", 5.0, 170.0, "STK", "EUR")
    nothing, not_ours = Position(OURS, 9, "IBM", 0.0, 0.0), Position(OTHER, 265598, "AAPL", 7.0, 190.0)
    assert seen(stock, option, other_option, foreign, nothing, not_ours).held(OURS) == {
        "AAPL STK USD #265598": 100.0,
        "AAPL OPT USD #7001": -1.0,
        "AAPL OPT USD #7002": 1.0,
        "AAPL STK EUR #7003": 5.0,
    }


def test_a_stock_that_became_an_option_is_a_difference():
    before = seen(Position(OURS, 265598, "AAPL", 1.0, 190.0))
    after = seen(Position(OURS, 7001, "AAPL", 1.0, 2.0, "OPT"))
    assert before.held(OURS) != after.held(OURS)
