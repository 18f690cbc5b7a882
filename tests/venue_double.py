"""A venue that a test speaks for."""

from order_plane.brokers.port import BrokerStateUnknown, KeyLife


class Venue:
    """Answers submissions in turn with ``answers``, and in the end not at all; says ``news`` once.

    ``known`` is what it shows of an intent, ``problem`` what comes of every cancel that is asked for. It notes what was
    ``sent``, and the orders of which a cancel was ``asked`` and which were ``cancelled``.
    """

    key_life = KeyLife.NONE
    dormant = converts = False

    def __init__(self, *answers, problem=None):
        self.answers, self.problem = list(answers), problem
        self.news, self.known, self.sent, self.asked, self.cancelled = [], {}, [], [], []

    def submit(self, order):
        self.sent.append((order.intent.intent_id.int, order.attempt))
        answer = self.answers.pop(0) if self.answers else BrokerStateUnknown("timeout")
        if isinstance(answer, Exception):
            raise answer
        return answer

    def cancel(self, order):
        self.asked.append(order.order_id)
        if self.problem is not None:
            raise self.problem
        self.cancelled.append((order.intent_id.int, order.order_id, order.stray))
        return []

    def drain(self):
        news, self.news = self.news, []
        return news

    def lookup(self, intent_id):
        return self.known.get(intent_id)

    def observe(self, bar):
        pass

    def close(self):
        pass
