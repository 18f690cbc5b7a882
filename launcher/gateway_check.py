"""Looks at the gateway of Interactive Brokers before anything that needs it is started."""

import socket
from collections.abc import Iterator

from ibkr_client.gateway_errors import GatewayUnavailable
from ibkr_client.settings import GatewaySettings
from launcher.settings import Settings
from order_plane.settings import BrokerName

_HELLO = b"API\0\x00\x00\x00\x09v157..178"
_PATIENCE_SECONDS = 5.0


def check_gateway(settings: Settings) -> None:
    """Return when what ``settings`` need of Interactive Brokers is there; the handshake takes no client id.

    Raises:
        GatewayUnavailable: when nobody answers, saying what to start.
        GatewayRefused: without a client library, or when account, port and mode do not agree.
    """
    wanted = {(each.host, each.port): each for each in _gateways(settings)}
    if not wanted:
        return
    from ibkr_client.library import find_library  # noqa: PLC0415 - other brokers do without
    from ibkr_client.refusals import explained  # noqa: PLC0415
    from ibkr_client.terms import address_of  # noqa: PLC0415

    find_library()
    _check_agreement(settings)
    for (host, port), gateway in wanted.items():
        try:
            _shake_hands(host, port)
        except OSError as error:
            raise GatewayUnavailable(explained(error, address_of(gateway))) from None


def _check_agreement(settings: Settings) -> None:
    if settings.order.broker is BrokerName.IBKR:
        from order_plane.brokers.ibkr import require_agreement  # noqa: PLC0415 - other brokers do without
        from order_plane.composition import ibkr_terms  # noqa: PLC0415

        require_agreement(ibkr_terms(settings.order))


def _gateways(settings: Settings) -> Iterator[GatewaySettings]:
    if settings.order.broker is BrokerName.IBKR:
        yield settings.order.ibkr
    if settings.data.ibkr is not None:
        yield settings.data.ibkr


def _shake_hands(host: str, port: int) -> None:
    with socket.create_connection((host, port), timeout=_PATIENCE_SECONDS) as link:
        link.sendall(_HELLO)
        if not link.recv(1):
            raise ConnectionResetError
