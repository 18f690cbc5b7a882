"""Why the gateway cannot be used, in words that say what to do."""

from ibkr_client.connection import RequestRefused
from ibkr_client.error_policy import CLIENT_ID_IN_USE
from ibkr_client.lifeline import Address


def explained(error: Exception, address: Address) -> str:
    """One sentence about a gateway that could not be connected to, and what to do."""
    where = f"Interactive Brokers at {address.host}:{address.port}"
    if isinstance(error, RequestRefused):
        if error.code != CLIENT_ID_IN_USE:
            return f"{where}: {error}"
        return (
            f"{where}: error {error.code}, client id {address.client_id} is in use. Stop the other program "
            "that uses it (another run of this one?), or choose another ibkr.client_id"
        )
    if isinstance(error, TimeoutError):
        return f"{where} takes connections and does not answer. Look for a dialogue that waits there, or restart it"
    if isinstance(error, ConnectionResetError) or "during the handshake" in str(error):
        return f"{where} closed the connection. Let it accept API clients from this address, then try again"
    return (
        f"{where}: nobody answers. Start TWS or IB Gateway with its API on that port, or a simulator: "
        f"algotrade ibkr-sim --port {address.port}"
    )
