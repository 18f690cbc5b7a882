"""Order planes on one journal and one venue, one after the other, as a restart has them."""

from order_plane.brokers.paper_store import MemoryPaperStore
from order_plane.composition import build_stage, paper_broker
from order_plane.journals.memory import MemoryJournal
from order_plane.settings import OrderSettings


class Lives:
    """``sent`` is what the venue was sent, by intent and attempt; ``known`` what each life is told before it begins."""

    def __init__(self, limits=None, journal=None, known=(), **changes):
        given = {"limits": {"duplicate_window": 0, **(limits or {})}, "guards": [], "volume_cap": None, **changes}
        self.settings = OrderSettings.model_validate(given)
        self.journal = journal or MemoryJournal()
        self.venue = paper_broker(self.settings, MemoryPaperStore())
        self.sent, self.known = [], [*known]
        submit = self.venue.submit

        def noted(order):
            self.sent.append((order.intent.intent_id.int, order.attempt))
            return submit(order)

        self.venue.submit = noted

    def next(self, *told, prepare=lambda stage: None):
        stage = build_stage(self.settings, self.journal, self.venue)
        for message in (*self.known, *told):
            stage.restore(message)
        prepare(stage)
        stage.recover()
        return stage
