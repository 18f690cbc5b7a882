"""Settings of the broker: safe defaults, closed, and silent about secrets."""

import pytest
from pydantic import SecretStr, ValidationError

from kernel.kafka_settings import KafkaSettings, consumer_config, producer_config, reader_config

CANARY = "canary-secret-value"


def test_no_secret_is_shown():
    settings = KafkaSettings(sasl_password=SecretStr(CANARY), ssl_key_password=SecretStr(CANARY))
    assert CANARY not in repr(settings) + str(settings) + settings.model_dump_json()
    assert producer_config(settings)["sasl.password"] == CANARY


def test_a_wrong_setting_does_not_echo_the_others():
    with pytest.raises(ValidationError) as caught:
        KafkaSettings.model_validate({"sasl_password": {"oops": CANARY}, "security_protocol": CANARY})
    assert CANARY not in str(caught.value)


def test_unknown_settings_and_odd_prefixes_are_refused():
    with pytest.raises(ValidationError):
        KafkaSettings.model_validate({"bootstrap": "x"})
    with pytest.raises(ValidationError):
        KafkaSettings(topic_prefix="a b/")


def test_environments_share_neither_topics_nor_groups():
    paper, live = KafkaSettings(topic_prefix="paper."), KafkaSettings(topic_prefix="live.")
    assert paper.topic("control") == "paper.control"
    assert paper.group("order") != live.group("order")


def test_nothing_is_lost_by_configuration():
    settings = KafkaSettings()
    produced = producer_config(settings)
    assert (produced["acks"], produced["enable.idempotence"]) == ("all", True)
    for config in (reader_config(settings, "g"), *(consumer_config(settings, "g", p) for p in ("consumer", "classic"))):
        assert config["enable.auto.commit"] is False
        assert config["auto.offset.reset"] == "error"


def test_each_group_protocol_gets_only_the_options_it_takes():
    new, old = (consumer_config(KafkaSettings(), "g", protocol) for protocol in ("consumer", "classic"))
    assert "session.timeout.ms" not in new
    assert "partition.assignment.strategy" not in new
    assert old["partition.assignment.strategy"] == "cooperative-sticky"
