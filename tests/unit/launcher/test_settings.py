"""What the sections of a configuration must agree on."""

from pathlib import Path

import pytest

from kernel.settings import ConfigurationError
from launcher.settings import load_settings

CONFIG = Path(__file__).parents[3] / "config" / "ibkr.yaml"


def test_two_planes_at_one_gateway_need_two_client_ids():
    with pytest.raises(ConfigurationError, match=r"data\.ibkr\.client_id"):
        load_settings(CONFIG, {"ALGOTRADE_DATA__IBKR__CLIENT_ID": "1"})


@pytest.mark.parametrize("other", [{"ALGOTRADE_DATA__IBKR__PORT": "4003"}, {"ALGOTRADE_ORDER__BROKER": "paper"}])
def test_one_client_id_will_do_where_only_one_plane_uses_the_gateway(other):
    assert load_settings(CONFIG, {"ALGOTRADE_DATA__IBKR__CLIENT_ID": "1", **other})


def test_delayed_quotes_are_refused_for_live_trading():
    delayed = {"ALGOTRADE_DATA__IBKR__DELAYED": "true"}
    assert load_settings(CONFIG, delayed)
    with pytest.raises(ConfigurationError, match=r"data\.ibkr\.delayed"):
        load_settings(CONFIG, {**delayed, "ALGOTRADE_ORDER__MODE": "live"})
