"""Which order journal decides what leaves for the venue."""

from typing import Annotated, Literal

from pydantic import Field

from contracts.base import Closed, Message, Name, Text, Timestamp


class Succession(Closed):
    """A named person has the journal ``journal_id`` followed by another one."""

    journal_id: Name
    operator: Name
    reason: Text


class JournalClaim(Message):
    """An order plane says that what it sends is written into the journal ``journal_id``, kept on ``host`` at ``place``.

    The first claim of the log holds. After that only one that ``succeeds`` the journal which holds takes its place, and
    of several such the first; every other claim changes nothing. ``intents_from``, told once by a journal that holds in
    the place of another, is the offset in ``order_intents`` before which intents belong to those before it.
    """

    event_type: Literal["journal_claim"] = "journal_claim"
    timestamp: Timestamp
    journal_id: Name
    account: Name
    host: Name
    place: Text
    succeeds: Succession | None = None
    intents_from: Annotated[int, Field(ge=0, le=2**63 - 1)] | None = None


class IntentsHandedOver(Message):
    """Intents before this record are of the journal ``predecessor`` and those before that one; it stops here.

    Written among the intents, so that who reads them in their order cannot pass it by.
    """

    event_type: Literal["intents_handed_over"] = "intents_handed_over"
    timestamp: Timestamp
    journal_id: Name
    predecessor: Name
