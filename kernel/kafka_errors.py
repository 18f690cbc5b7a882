"""What can go wrong between a process and its broker, each with the way out."""

from confluent_kafka import KafkaError, KafkaException

PASSING = frozenset(
    {
        KafkaError._ALL_BROKERS_DOWN,
        KafkaError._TIMED_OUT,
        KafkaError._TRANSPORT,
        KafkaError._WAIT_COORD,
        KafkaError.COORDINATOR_LOAD_IN_PROGRESS,
        KafkaError.COORDINATOR_NOT_AVAILABLE,
        KafkaError.LEADER_NOT_AVAILABLE,
        KafkaError.NOT_COORDINATOR,
        KafkaError.NOT_LEADER_FOR_PARTITION,
        KafkaError.REQUEST_TIMED_OUT,
        KafkaError.UNKNOWN_TOPIC_OR_PART,
    }
)
"""Errors that may be gone at the next attempt: an election, a restart, news that has not spread yet."""

DENIED = frozenset(
    {
        KafkaError.TOPIC_AUTHORIZATION_FAILED,
        KafkaError.GROUP_AUTHORIZATION_FAILED,
        KafkaError.SASL_AUTHENTICATION_FAILED,
        KafkaError._AUTHENTICATION,
    }
)
"""Errors that stay until somebody grants this process what it asks for."""

_UNSUPPORTED = (KafkaError.UNSUPPORTED_VERSION, KafkaError._UNSUPPORTED_FEATURE)
_SILENCE = {KafkaError._TRANSPORT: "no connection", KafkaError._TIMED_OUT: "no answer in time"}


class BrokerUnavailable(RuntimeError):
    """No broker answers at the given addresses."""

    def __init__(self, bootstrap_servers: str, reason: str) -> None:
        super().__init__(
            f"no Kafka broker answers at {bootstrap_servers}: {reason}; "
            "start one (algotrade broker start) or correct kafka.bootstrap_servers"
        )


class TopicMismatch(RuntimeError):
    """A topic is missing or has another shape than the table of topics says."""


class OffsetLost(RuntimeError):
    """The log no longer holds what this group would read next, so messages are gone unread."""

    def __init__(self, topic: str, partition: int, committed: int, low: int, high: int) -> None:
        super().__init__(
            f"{topic}/{partition}: the group's committed offset {committed} is outside the log [{low}, {high}]: "
            "messages were removed before they were read, or the topic was made anew. Nothing was skipped. Reconcile "
            "with the broker's records, then either move the group (kafka-consumer-groups --reset-offsets) or start "
            "with another kafka.group_prefix"
        )


class HistoryLost(RuntimeError):
    """The log that a plane's state is rebuilt from no longer reaches back to its beginning."""

    def __init__(self, topic: str, partition: int, low: int) -> None:
        super().__init__(
            f"{topic}/{partition} begins at offset {low}: the messages before it are gone, so the state of this plane "
            "(positions, the bars a strategy looks back on, the rhythm of its rebalances) cannot be rebuilt. Nothing "
            "was started. Raise the topic's retention, reconcile positions with the broker's records, and begin with "
            "a new kafka.topic_prefix, the cash and positions that are true, and a source that starts early enough "
            "to warm up"
        )


class LogBroken(RuntimeError):
    """A log of which every record counts lacks some, or holds one that cannot be read."""

    def __init__(self, topic: str, offset: int, wrong: str) -> None:
        super().__init__(
            f"{topic}/0/{offset}: {wrong}, so nobody knows what it said; find out who wrote or removed it. Nothing "
            "goes on before the topic is whole: see the runbook, The journal is refused"
        )


class StateBehind(RuntimeError):
    """Another instance of this plane handled messages after this one had rebuilt its state."""

    def __init__(self, topic: str, partition: int, known: int, start: int) -> None:
        super().__init__(
            f"{topic}/{partition}: this process knows what was handled up to offset {known}, and another instance went "
            f"on to {start}. Nothing was handled with a state that is behind; a restart rebuilds it. Run one instance "
            "of each plane, and stop the old one before its successor starts"
        )


class ConsumptionFailed(RuntimeError):
    """The broker refuses to let this process read."""


class CommitFailed(RuntimeError):
    """The broker did not record the progress of this process; it will be repeated after a restart."""


def has_no_such_groups(error: KafkaError) -> bool:
    """Whether the broker knows no KIP-848 groups; the client tells the cause of a fatal error in its text only."""
    return error.code() == KafkaError._FATAL and any(KafkaError(code).str() in error.str() for code in _UNSUPPORTED)


def text_of(error: KafkaError) -> str:
    """Name and reason of a client error, or that nobody answers; none holds message content or secrets."""
    silence = _SILENCE.get(error.code())
    says_no_more = error.str().endswith(KafkaError(error.code()).str())
    return silence if silence and says_no_more else f"{error.name()} ({error.str()})"


def error_of(exception: KafkaException) -> KafkaError:
    """What the client library reported."""
    found = exception.args[0]
    return found if isinstance(found, KafkaError) else KafkaError(KafkaError._FAIL)
