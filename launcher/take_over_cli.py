"""Let the order plane of another journal send, when the one that did is gone for good."""

from collections.abc import Iterator
from contextlib import contextmanager

import typer
from pydantic import ValidationError

from contracts.claims import JournalClaim, Succession
from contracts.control import KillSwitchCommand
from kernel.clock import SystemClock
from kernel.kafka_errors import LogBroken
from kernel.kafka_settings import KafkaSettings
from launcher.kafka_options import NOTHING, Bootstrap, Prefix, connection, console, errors, reported
from launcher.latching import publish
from launcher.order_journal import Database, Operator, Reason, State, journal_errors, looked_at, place_of, settings_of
from order_plane.claim_log import KafkaClaims, claim_of
from order_plane.claims import Standing
from order_plane.command_channel import CommandRefused
from order_plane.holding import Holding
from order_plane.journals.port import JournalError
from order_plane.safety.symbol_halts import EVERY_SYMBOL, halt_command

_CAUSE = "MANUAL"


def take_over(
    operator: Operator,
    reason: Reason,
    state: State = None,
    database: Database = None,
    bootstrap: Bootstrap = None,
    prefix: Prefix = None,
) -> None:
    """Let the order plane with the journal in --state send, in the place of the journal that does now.

    First see that the other order plane is stopped, or its session at the venue is ended. One that is cut off from
    Kafka sends no intent that comes after this; but while it reaches the venue, a kill engaged there goes on closing
    positions, which this order plane may close too. Intents from before are never sent by themselves: what the other
    one did not report is asked of the venue and then shown in doubt. It starts with every symbol halted: of kills it
    knows those that Kafka has and those of its own journal. Give those again that were given while Kafka was away, and
    then release the halt. Exit code 1 when that journal sends already, or another one was faster.
    """
    with reported(), journal_errors(), _log_errors():
        place = place_of(state, database)
        journal = looked_at(place, database)
        name = journal.journal_id
        journal.close()
        mine = claim_of(settings_of(place, database), name)
        standing, other = _taken_over(connection(bootstrap, prefix), mine, operator, reason)
        console.print(
            f"this journal ({name}) sends from intent {standing.intents_from} on, in the place of {other.journal_id} on"
            f" {other.host}, {other.place}. NOTHING HERE STOPS THAT ORDER PLANE: while it is cut off from Kafka and"
            " reaches the venue, a kill engaged there goes on closing positions and cancelling orders, so a position"
            " may be closed twice. See that its process has ended, or end its session at the venue. Then start the"
            " order plane of this journal, which begins with every symbol halted, hold the account against the venue,"
            " and decide on what it shows in doubt: algotrade orders in-doubt. KILLS GIVEN WHILE KAFKA WAS AWAY ARE NOT"
            " KNOWN HERE: give them again (algotrade kill on). Only then: algotrade orders release-symbol '*', and only"
            " after that send again what is to be sent again",
            markup=False,
            soft_wrap=True,
        )


def _taken_over(kafka: KafkaSettings, mine: JournalClaim, operator: str, reason: str) -> tuple[Standing, JournalClaim]:
    """What holds then, and the claim that held before."""
    claims = KafkaClaims(kafka)
    try:
        holding = Holding(claims, mine)
        holder = holding.look().holder
        if holder is None:
            raise CommandRefused(
                "no journal has ever sent for this Kafka; start the order plane, nothing is to be taken"
            )
        if holder.journal_id == mine.journal_id:
            raise CommandRefused("this journal is the one that sends; start its order plane")
        signed = _signed(holder.journal_id, operator, reason)
        publish(_halt(mine.journal_id, operator), kafka)
        return holding.take_over(signed), holder
    except JournalError as error:  # another one was faster
        raise CommandRefused(str(error)) from None
    finally:
        claims.close()


def _halt(journal_id: str, operator: str) -> KillSwitchCommand:
    """What holds back every new order, and cancels none, until a person has seen to what the successor cannot know."""
    at = SystemClock().now()
    reason = "hand-over: give again what was stopped while Kafka was away, then release"
    return halt_command(EVERY_SYMBOL, reason, at, f"hand-over to {journal_id} at {at.isoformat()}", _CAUSE).model_copy(
        update={"operator": operator}
    )


def _signed(journal_id: str, operator: str, reason: str) -> Succession:
    try:
        return Succession(journal_id=journal_id, operator=operator, reason=reason)
    except ValidationError:
        raise typer.BadParameter("a name without blanks, or a reason of 1 to 512 characters") from None


@contextmanager
def _log_errors() -> Iterator[None]:
    try:
        yield
    except LogBroken as error:
        errors.print(str(error), style="red", markup=False, soft_wrap=True)
        raise typer.Exit(NOTHING) from None
