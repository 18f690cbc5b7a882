"""What the gateway's codes say of an order, written out once more, from its documentation and from what users report.

The policy under test is held against these, never made of them: a code that came into its list of refusals by mistake
would end orders that work, and they would be sent again.
"""

from ibkr_client.error_policy import OnOrder

REFUSED = (109, 110, 200, 201, 203, 321, 382, 383, 387, 434, 435, 451, 10243, 10289, 10293)
NOTICES = (399, 404, 10167, 10349)
UNCHANGED = (104, 105, 106, 107, 161, 329, 10147, 10148)
CERTAIN = {
    **dict.fromkeys(REFUSED, OnOrder.REFUSED),
    **dict.fromkeys(NOTICES, OnOrder.NOTICE),
    **dict.fromkeys(UNCHANGED, OnOrder.UNCHANGED),
    202: OnOrder.CANCELLED,
}
WARNINGS = range(2100, 2200)
"""Codes that are notices, whatever they say."""
UNKNOWN = (100, 102, 103, 135, 162, 300, 354, 366, 463, 10149, 10268, 10311, 99_999)
"""Some of all the others."""
FALSE_CANCELS = (103, 104, 106, 135, 161, 382, 463, 10147, 10148, 10149, 10268, 10311, 10349)
"""After these both client libraries take an order that works for cancelled."""
