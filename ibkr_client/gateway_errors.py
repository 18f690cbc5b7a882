"""What ends a program that needs the gateway and cannot have it."""


class GatewayUnavailable(Exception):
    """The gateway cannot be reached; the text says what to do."""


class GatewayRefused(Exception):
    """The gateway, or this program's own rules, will not have what was asked for; trying again does not help."""
