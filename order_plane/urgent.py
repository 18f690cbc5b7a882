"""What must be known before the next order leaves."""

from collections.abc import Iterator

from contracts.control import KillSwitchCommand
from kernel.kafka_lookahead import LookAhead
from order_plane.command_channel import CommandChannel
from order_plane.command_fields import kills_among
from order_plane.holding import Holding
from order_plane.outage import KafkaOutage
from order_plane.sending import Urgent


def ways_of(
    channel: CommandChannel, outage: KafkaOutage, holding: Holding, ahead: LookAhead[KillSwitchCommand]
) -> tuple[Urgent, Urgent]:
    """Two questions: which commands somebody waits for and whether this plane may still send, and without Kafka.

    The first tells what waits at the socket before it asks Kafka, which may take long to answer, or never do so.

    Raises:
        JournalError: when the first is asked and another journal holds.
        BrokerUnavailable: when the first is asked after a pause of the process, and Kafka does not answer.
    """

    def by_socket() -> list[KillSwitchCommand]:
        return kills_among(channel.waiting())

    def by_all() -> Iterator[KillSwitchCommand]:
        yield from by_socket()
        if not outage.lasts:
            holding.heed()
            yield from ahead.read()

    return by_all, by_socket
