"""The market as a whole: every symbol's tape, what is halted, and which contracts there are."""

from array import array
from collections.abc import Iterable
from functools import cached_property
from hashlib import sha256
from itertools import chain

from ibkr_sim.listing import Listing, Listings
from ibkr_sim.market_time import local
from ibkr_sim.tape import Print, Tape

_DAYS_OF_HOURS = 5


class Market:
    """``tapes`` are played as they are; a halt stops trading in a symbol, not its tape."""

    def __init__(self, tapes: Iterable[Tape], size_increment: float = 1.0) -> None:
        self.tapes = {tape.symbol: tape for tape in tapes}
        self.listings = Listings(self.tapes, size_increment)
        self._halted: dict[str, float] = {}

    @cached_property
    def name(self) -> str:
        """Twelve hexadecimal digits that another seed, other bars or another time of them would change."""
        found = sha256()
        for symbol, tape in sorted(self.tapes.items()):
            found.update(f"{symbol} {tape.seed} ".encode())
            bars = ((bar.start, bar.end, bar.open, bar.high, bar.low, bar.close, bar.volume) for bar in tape.bars)
            found.update(array("d", chain.from_iterable(bars)).tobytes())
        return found.hexdigest()[:12]

    def quote(self, symbol: str, moment: float) -> Print | None:
        """The newest print while the symbol trades; None outside its sessions and while it is halted."""
        tape = self.tapes[symbol]
        session = tape.session_at(moment)
        if session is None or self.halted(symbol, moment):
            return None
        # Just after the open nothing was printed yet: the first quote of the session stands already.
        found = tape.last_print(moment)
        if found is None or found.time < session[0]:
            found = tape.next_print(moment)
        return found

    def price(self, symbol: str, moment: float) -> float:
        """The last price, before the first print the first open."""
        found = self.tapes[symbol].last_print(moment)
        return self.tapes[symbol].bars[0].open if found is None else found.price

    def price_of(self, contract_id: int, moment: float) -> float:
        """The last price of a contract; 0 when it is not listed."""
        listing = self.listings.by_id(contract_id)
        return 0.0 if listing is None else self.price(listing.symbol, moment)

    def open_at(self, symbol: str, moment: float) -> bool:
        """Whether a session holds the moment and goes on."""
        session = self.tapes[symbol].session_at(moment)
        return session is not None and moment < session[1]

    def close_after(self, symbol: str, moment: float) -> float | None:
        """Close of the session that holds ``moment``, or of the next one."""
        tape = self.tapes[symbol]
        session = tape.session_at(moment)
        if session is not None and moment < session[1]:
            return session[1]
        following = tape.next_open(moment)
        later = None if following is None else tape.session_at(following)
        return None if later is None else later[1]

    def halt(self, symbol: str, until: float) -> None:
        """Stop trading in a symbol until a moment."""
        self._halted[symbol] = until

    def halted(self, symbol: str, moment: float) -> bool:
        """Whether the symbol is halted."""
        return moment < self._halted.get(symbol, moment)

    def hours(self, listing: Listing, moment: float) -> str:
        """The sessions of today and the next days in the API's form, ``yyyymmdd:HHMM-yyyymmdd:HHMM;...``."""
        sessions = [each for each in self.tapes[listing.symbol].sessions if each[1] >= moment][:_DAYS_OF_HOURS]
        return ";".join(f"{local(opened):%Y%m%d:%H%M}-{local(closed):%Y%m%d:%H%M}" for opened, closed in sessions)
