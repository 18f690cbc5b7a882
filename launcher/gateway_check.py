"""Looks at the gateway of Interactive Brokers before anything that needs it is started."""

import socket
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from ibkr_client.gateway_errors import GatewayRefused, GatewayUnavailable
from ibkr_client.settings import GatewaySettings
from launcher.settings import Settings
from order_plane.settings import BrokerName, Mode, OrderSettings

if TYPE_CHECKING:
    from ibkr_client.first_look import Sight

_HELLO = b"API\0\x00\x00\x00\x09v157..178"
_PATIENCE_SECONDS = 5.0


def check_gateway(settings: Settings) -> None:
    """Return when what ``settings`` need of Interactive Brokers is there.

    A handshake, which takes no client id, tells whether anybody answers; then each client id is used for a look at
    accounts and symbols, over a connection that sends no order.

    Raises:
        GatewayUnavailable: when nobody answers, or a client id is in use, saying what to do.
        GatewayRefused: without a client library, when account, port and mode do not agree, when the account is not
            there, or a symbol fits no contract.
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
    _check_what_is_there(settings)


def unwelcome(order: OrderSettings, accounts: Sequence[str]) -> str:
    """Why bars of a simulator with ``accounts`` must not be traded on; empty when they may."""
    if order.mode is Mode.LIVE:
        return "order.mode is live; correct data.ibkr.port"
    if order.broker is BrokerName.IBKR and order.account not in accounts:
        return "it does not have the account that orders are for; correct data.ibkr.port or order.account"
    return ""


def _check_agreement(settings: Settings) -> None:
    if settings.order.broker is BrokerName.IBKR:
        from order_plane.brokers.ibkr import require_agreement  # noqa: PLC0415 - other brokers do without
        from order_plane.composition import ibkr_terms  # noqa: PLC0415

        require_agreement(ibkr_terms(settings.order))


def _check_what_is_there(settings: Settings) -> None:
    symbols, simulated = settings.data.symbols, set()
    if settings.order.broker is BrokerName.IBKR:
        from order_plane.brokers.ibkr import WrongAccount, unsuitable  # noqa: PLC0415 - other brokers do without
        from order_plane.composition import ibkr_terms  # noqa: PLC0415

        traded = set(settings.strategy.universe or symbols) - settings.strategy.quoted.pairs
        seen = _looked("order", settings.order.ibkr, tuple(sorted(traded)))
        wrong = unsuitable(ibkr_terms(settings.order), seen.accounts, simulated=seen.simulated)
        if wrong:
            raise WrongAccount(wrong)
        simulated.add(seen.simulated)
    if settings.data.ibkr is not None:
        seen = _looked("data", settings.data.ibkr, symbols)
        simulated.add(seen.simulated)
        if seen.simulated and (why := unwelcome(settings.order, seen.accounts)):
            raise GatewayRefused(f"bars would be those of a simulator: {why}")
    if len(simulated) > 1:
        raise GatewayRefused("bars and orders go through different gateways, and one of them is a simulator")


def _looked(section: str, gateway: GatewaySettings, symbols: tuple[str, ...]) -> "Sight":
    """What is at a gateway; raises GatewayUnavailable, or GatewayRefused when a symbol is not there."""
    from ibkr_client.connection import ConnectionLost, RequestRefused  # noqa: PLC0415 - other brokers do without
    from ibkr_client.first_look import look  # noqa: PLC0415
    from ibkr_client.refusals import explained  # noqa: PLC0415
    from ibkr_client.terms import address_of, contract_terms  # noqa: PLC0415

    address = address_of(gateway)
    try:
        seen = look(address, symbols, contract_terms(gateway))
    except (ConnectionLost, RequestRefused, TimeoutError, OSError) as error:
        raise GatewayUnavailable(explained(error, address)) from None
    if seen.unknown:
        fix = f"correct data.symbols, or name it in {section}.ibkr.contracts"
        raise GatewayRefused(f"{'; '.join(seen.unknown.values())}; {fix}")
    return seen


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
