"""What the order plane is told and does not act on."""

from contracts.codec import ErrorCode, FieldError

CONFLICTING_INTENT = FieldError(
    "/intent_id",
    "this intent_id was used before with other content; give every wish its own id",
    ErrorCode.SCHEMA_INVALID,
)


class NotOpen(ValueError):
    """A person wants something of an order that is not open."""


class NotInDoubt(ValueError):
    """A person decided on an order whose outcome is known."""


class NotBookable(ValueError):
    """A person tells of an execution that cannot be one of that order."""


class NotReplaceable(ValueError):
    """An order cannot be changed as somebody wants it; the text is ``CODE: sentence``."""
