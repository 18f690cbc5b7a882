"""The ground every message stands on: frozen, closed, strict, with canonical scalars."""

from collections import deque
from collections.abc import Mapping
from datetime import datetime
from itertools import repeat
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Self
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field, GetJsonSchemaHandler, JsonValue
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema, core_schema

# Years 1700 to 2199 fit into 64-bit nanoseconds and survive a change of zone.
TIMESTAMP_PATTERN = (
    r"^(1[7-9]|2[01])[0-9]{2}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}(\.[0-9]{1,6})?(Z|[+-][0-9]{2}:[0-9]{2})$"
)
UUID_PATTERN = r"^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$"


class _CanonicalText:
    """Accept one spelling of a scalar on the wire and only the native type in Python.

    Pydantic's strict mode still takes epoch digits, braces and blanks; a pattern ahead of the parser
    closes that, and both run in the compiled validator.
    """

    def __init__(self, pattern: str, json_format: str, native: CoreSchema) -> None:
        self._pattern = pattern
        self._format = json_format
        self._native = native

    def __get_pydantic_core_schema__(self, source: Any, handler: Any) -> CoreSchema:  # noqa: ANN401
        text = core_schema.str_schema(pattern=self._pattern, strict=True)
        lenient = {**self._native, "strict": False}
        return core_schema.json_or_python_schema(
            json_schema=core_schema.chain_schema([text, lenient]),
            python_schema=self._native,
        )

    def __get_pydantic_json_schema__(self, schema: CoreSchema, handler: GetJsonSchemaHandler) -> JsonSchemaValue:
        return {"type": "string", "format": self._format, "pattern": self._pattern}


Timestamp = Annotated[
    datetime,
    _CanonicalText(
        TIMESTAMP_PATTERN,
        "date-time",
        core_schema.datetime_schema(tz_constraint="aware", strict=True),
    ),
]
Identifier = Annotated[UUID, _CanonicalText(UUID_PATTERN, "uuid", core_schema.uuid_schema(strict=True))]
Symbol = Annotated[str, Field(pattern=r"^[!-~]{1,32}$")]
Name = Annotated[str, Field(pattern=r"^[!-~]{1,64}$")]
Currency = Annotated[str, Field(pattern=r"^[A-Z]{3}$")]
Text = Annotated[str, Field(min_length=1, max_length=512, pattern=r"^[^\u0000]*$")]
Price = Annotated[float, Field(ge=1e-10, le=1e12)]
Quantity = Annotated[float, Field(gt=0, le=1e15)]
QuantityOrZero = Annotated[float, Field(ge=0, le=1e15)]
Money = Annotated[float, Field(ge=-1e15, le=1e15)]

_new = object.__new__
_set_fields = BaseModel.__dict__["__dict__"].__set__


def requires(field: str, when: Mapping[str, JsonValue]) -> dict[str, JsonValue]:
    """JSON Schema for: ``field`` is there and not null whenever the fields in ``when`` match their schemas."""
    return {
        "if": {"properties": dict(when), "required": list(when)},
        "then": {"properties": {field: {"not": {"type": "null"}}}, "required": [field]},
    }


class Closed(BaseModel):
    """A frozen record that knows all its fields and coerces nothing."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, allow_inf_nan=False, hide_input_in_errors=True)


class Message(Closed):
    """One fact or wish that crosses a process boundary.

    Subclasses name their ``event_type`` and list their fields; a new meaning needs a new
    ``schema_version``.
    """

    schema_version: ClassVar[int] = 1

    @classmethod
    def trusted(cls, fields: dict[str, Any]) -> Self:
        """Build a message from values this process has already validated, without checking them again.

        ``fields`` must hold every field of the contract, in the contract's order, and is owned by the
        message afterwards. Never pass it anything that came from outside.
        """
        message = _new(cls)
        _set_fields(message, fields)
        return message

    @classmethod
    def trusted_each(cls, fields: list[dict[str, Any]]) -> list[Self]:
        """`trusted` for each of ``fields``, in a third less time."""
        messages = list(map(_new, repeat(cls, len(fields))))
        deque(map(_set_fields, messages, fields), maxlen=0)
        return messages

    if not TYPE_CHECKING:

        def __getattr__(self, name: str) -> Any:  # noqa: ANN401 - as in the base class
            """What `trusted` leaves unset, since filling it in would double its cost."""
            if name == "__pydantic_fields_set__":
                return frozenset(type(self).model_fields)
            if name in {"__pydantic_extra__", "__pydantic_private__"}:
                return None
            return super().__getattr__(name)

    def model_copy(self, *, update: Mapping[str, Any] | None = None, deep: bool = False) -> Self:
        """Copy the message; unlike pydantic's own, ``update`` is validated.

        Raises:
            pydantic.ValidationError: when the updated fields are no message.
        """
        if update is None:
            return super().model_copy(deep=deep)
        return type(self).model_validate({**self.__dict__, **update})

    @property
    def partition_key(self) -> str:
        """Messages with the same key keep their order on the wire."""
        return "*"
