"""The parts of a connection from its settings."""

from dataclasses import fields

from ibkr_client.contracts import ContractTerms
from ibkr_client.lifeline import Address
from ibkr_client.settings import GatewaySettings


def address_of(settings: GatewaySettings) -> Address:
    """Where the gateway listens, and how it is spoken to."""
    return Address(
        settings.host,
        settings.port,
        settings.client_id,
        settings.patience_seconds,
        settings.first_wait_seconds,
        settings.longest_wait_seconds,
        settings.messages_per_second,
        min(settings.reserved_for_orders, settings.messages_per_second - 1),
    )


def contract_terms(settings: GatewaySettings) -> dict[str, ContractTerms]:
    """How each symbol that is named is looked up."""
    names = [each.name for each in fields(ContractTerms)]
    return {
        symbol: ContractTerms(**{name: getattr(chosen, name) for name in names})
        for symbol, chosen in settings.contracts.items()
    }
