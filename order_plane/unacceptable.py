"""What the order plane is told and does not act on."""

from contracts.codec import ErrorCode, FieldError

CONFLICTING_INTENT = FieldError(
    "/intent_id",
    "this intent_id was used before with other content; give every wish its own id",
    ErrorCode.SCHEMA_INVALID,
)


class NotInDoubt(ValueError):
    """A person decided on an order whose outcome is known."""
