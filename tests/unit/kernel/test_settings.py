from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Annotated, Literal

import pytest
from pydantic import BaseModel, ConfigDict, Field, SecretBytes, SecretStr, model_validator

from kernel.settings import ConfigurationError, config_hash, load, resolved, secret_values


class Section(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)


class Kafka(Section):
    bootstrap_servers: str = "127.0.0.1:9092"
    port: Annotated[int, Field(ge=1, le=65535)] = 9092
    sasl_username: str | None = None
    sasl_password: SecretStr | None = None
    token: SecretBytes | None = None
    max_rate: Annotated[float, Field(gt=0)] | None = None
    timeout_seconds: float = 1.0
    embedded: bool = False


class Limits(Section):
    max_order_value: float = 1000.0
    per_symbol: dict[str, float] = {}


class Order(Section):
    limits: Limits = Limits()
    patience: timedelta = timedelta(seconds=5)
    journal: Path = Path("journal.db")


class Source(Section):
    files: tuple[str, ...] = ()


class Feed(Section):
    name: str


class Data(Section):
    symbols: tuple[str, ...]
    sources: tuple[Source, ...] = ()
    feeds: tuple[Feed, ...] = ()
    listings: dict[str, Source] | None = None
    start: datetime | None = None
    pace: Literal["fast", "paced"] = "fast"
    tags: frozenset[str] = frozenset()


class Settings(Section):
    kafka: Kafka = Kafka()
    data: Data
    order: Order = Order()


@pytest.fixture
def yaml_file(tmp_path: Path):
    def write(text: str) -> Path:
        path = tmp_path / "settings.yaml"
        path.write_text(text, "utf-8")
        return path

    return write


def refusal(*arguments, **keywords) -> str:
    with pytest.raises(ConfigurationError) as caught:
        load(Settings, *arguments, **keywords)
    return str(caught.value)


def test_values_come_from_the_file_and_defaults(yaml_file):
    settings = load(
        Settings,
        yaml_file("data: {symbols: [AAPL, ON], start: 2020-01-02T00:00:00Z}\nkafka: {timeout_seconds: 2}\norder:\n"),
        {},
    )

    assert settings.data.symbols == ("AAPL", "ON")
    assert settings.data.start == datetime(2020, 1, 2, tzinfo=UTC)
    assert settings.kafka.timeout_seconds == 2.0
    assert settings.order == Order()


def test_options_beat_variables_beat_secret_files_beat_the_file(yaml_file, tmp_path):
    secrets = tmp_path / "secrets"
    secrets.mkdir()
    file = yaml_file(
        "data: {symbols: [A]}\nkafka: {port: 1, bootstrap_servers: a, sasl_username: a, timeout_seconds: 1}"
    )
    for name in ("PORT", "BOOTSTRAP_SERVERS", "SASL_USERNAME"):
        (secrets / f"ALGOTRADE_KAFKA__{name}").write_text("2\n")
    environ = {"ALGOTRADE_KAFKA__PORT": "3", "ALGOTRADE_KAFKA__BOOTSTRAP_SERVERS": "c"}

    kafka = load(Settings, file, environ, secrets, {"kafka.port": 4}).kafka

    assert (kafka.port, kafka.bootstrap_servers, kafka.sasl_username, kafka.timeout_seconds) == (4, "c", "2", 1.0)


def test_a_variable_reaches_any_depth_and_keeps_its_neighbours(yaml_file):
    file = yaml_file("data: {symbols: [A]}\norder: {limits: {max_order_value: 5, per_symbol: {A: 1}}}")

    limits = load(Settings, file, {"ALGOTRADE_ORDER__LIMITS__MAX_ORDER_VALUE": "7.5"}).order.limits

    assert limits == Limits(max_order_value=7.5, per_symbol={"A": 1.0})


def test_variables_hold_yaml_values_but_text_is_taken_as_written():
    environ = {
        "ALGOTRADE_DATA__SYMBOLS": "[NO, '5', 1e5x]",
        "ALGOTRADE_KAFKA__SASL_PASSWORD": "123: #yes",
        "ALGOTRADE_KAFKA__SASL_USERNAME": "null",
        "ALGOTRADE_KAFKA__BOOTSTRAP_SERVERS": "5",
        "ALGOTRADE_KAFKA__EMBEDDED": "true",
        "ALGOTRADE_KAFKA__TOKEN": "~",
        "ALGOTRADE_KAFKA__MAX_RATE": "2",
        "ALGOTRADE_KAFKA__TIMEOUT_SECONDS": "1e-3",
        "ALGOTRADE_ORDER__PATIENCE": "PT2S",
        "ALGOTRADE_ORDER__JOURNAL": "/var/lib/on",
        "ALGOTRADE_ORDER__LIMITS__PER_SYMBOL": "{A: 1.5}",
    }

    settings = load(Settings, None, environ)

    assert settings.data.symbols == ("NO", "5", "1e5x")
    assert settings.kafka.sasl_password == SecretStr("123: #yes")
    assert settings.kafka.sasl_username is None
    assert settings.kafka.bootstrap_servers == "5"
    assert settings.kafka.embedded is True
    assert settings.kafka.token == SecretBytes(b"~")
    assert settings.kafka.max_rate == 2.0
    assert settings.kafka.timeout_seconds == 0.001
    assert settings.order == Order(
        patience=timedelta(seconds=2), journal=Path("/var/lib/on"), limits=Limits(per_symbol={"A": 1.5})
    )


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (
            "kafka: {bootstrap_server: x}",
            "kafka.bootstrap_server is not a setting; did you mean kafka.bootstrap_servers?",
        ),
        ("bootstrap_servers: x", "did you mean kafka.bootstrap_servers?"),
        ("kafak: {port: 1}", "kafak is not a setting; did you mean kafka?"),
        ("order: {limits: {max_order_val: 1}}", "did you mean order.limits.max_order_value?"),
        ("data: {sources: [{fils: []}]}", "data.sources.0.fils is not a setting; did you mean files?"),
        ("data: {listings: {A: {file: []}}}", "data.listings.A.file is not a setting; did you mean files?"),
        ("data: {sources: [{zzz: []}]}", "data.sources.0.zzz is not a setting; remove it"),
        ("kafka: {zzzzz: 1}", "kafka.zzzzz is not a setting; choose from bootstrap_servers, port"),
        ("kafka: [1]", "kafka is a section"),
        ("- 1", "the settings file is a section"),
        ("kafka: {<<: {port: 1}}", "kafka.<< is not a setting"),
    ],
)
def test_unknown_names_are_refused_with_the_nearest_one_and_their_source(yaml_file, text, expected):
    message = refusal(yaml_file(text), {"ALGOTRADE_DATA__SYMBOLS": "[A]"})

    assert expected in message
    assert "settings.yaml" in message


@pytest.mark.parametrize(
    ("variable", "expected"),
    [
        (
            "ALGOTRADE_KAFKA__BOOTSTRAP_SERVER",
            "did you mean kafka.bootstrap_servers? (ALGOTRADE_KAFKA__BOOTSTRAP_SERVER)",
        ),
        ("ALGOTRADE_KAFKA__PORT__X", "kafka.port.x is not a setting; set kafka.port as a whole"),
        ("ALGOTRADE_KAFKA_PORT", "ALGOTRADE_KAFKA_PORT is not a setting; did you mean ALGOTRADE_KAFKA__PORT?"),
        ("ALGOTRADE_KAFKA", "kafka is a section"),
    ],
)
def test_unknown_variables_are_refused(variable, expected):
    assert expected in refusal(None, {"ALGOTRADE_DATA__SYMBOLS": "[A]", variable: "1"})


def test_variables_of_the_cluster_and_of_others_are_left_alone():
    environ = {
        "ALGOTRADE_DATA__SYMBOLS": "[A]",
        "ALGOTRADE_KAFKA_SERVICE_HOST": "10.0.0.1",
        "ALGOTRADE_CONFIG": "x.yaml",
        "PATH": "/bin",
        "KAFKA__PORT": "7",
    }

    assert load(Settings, None, environ).kafka == Kafka()


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("kafka: {port: 1, port: 2}", "repeats a key at line 1"),
        ("kafka: {port: 1}\nkafka: {port: 2}", "repeats a key"),
        ("kafka: [", "is not valid YAML at line"),
        ("kafka: !!python/name:os.system x", "uses a YAML feature"),
        ("kafka: !mine x", "uses a YAML feature"),
        ("data: {symbols: &a [*a]}", "uses a YAML feature"),
        ("--- 1\n--- 2", "is not valid YAML"),
        ("a: \x07", "is not valid YAML"),
    ],
)
def test_unreadable_files_are_refused_with_the_place(yaml_file, text, expected):
    assert expected in refusal(yaml_file(text), {})


@pytest.mark.parametrize(
    "text", ["kafka: {port: '9'}", "kafka: {port: true}", "kafka: {port: 9.5}", "kafka: {timeout_seconds: '1'}",
             "kafka: {timeout_seconds: true}", "kafka: {embedded: 1}", "kafka: {embedded: 'true'}",
             "kafka: {embedded: yes}", "kafka: {bootstrap_servers: 5}", "kafka: {port: 10_0}", "order: {patience: 5}",
             "kafka: {sasl_password: 1234}"],
)  # fmt: skip
def test_a_value_of_another_kind_is_not_bent_into_shape(yaml_file, text):
    message = refusal(yaml_file(text), {"ALGOTRADE_DATA__SYMBOLS": "[A]"})

    section, _, rest = text.partition(": {")
    assert f"{section}.{rest.partition(':')[0]} should be a valid" in message


def test_every_problem_is_listed_at_once_with_its_fix(yaml_file):
    file = yaml_file("kafka: {port: 70000, bootstrap_server: x}\norder: {journall: x}")

    with pytest.raises(ConfigurationError) as caught:
        load(Settings, file, {"ALGOTRADE_DATA__PACE": "slow"})

    fields = [problem.field for problem in caught.value.problems]
    assert sorted(fields) == ["data.pace", "data.symbols", "kafka.bootstrap_server", "kafka.port", "order.journall"]
    assert "data.symbols is required; add it to the settings file or set ALGOTRADE_DATA__SYMBOLS" in str(caught.value)
    assert "(ALGOTRADE_DATA__PACE)" in str(caught.value)
    assert all(problem.fix for problem in caught.value.problems)


def test_what_a_list_entry_lacks_is_to_be_added_where_the_list_is(yaml_file):
    message = refusal(yaml_file("data: {symbols: [A], feeds: [{}]}"), {})

    assert "data.feeds.0.name is required; add it (" in message
    assert "settings.yaml" in message


def test_no_value_is_ever_repeated(yaml_file, tmp_path):
    canary = "c4n4ry"
    secrets = tmp_path / "secrets"
    secrets.mkdir()
    (secrets / "ALGOTRADE_KAFKA__PORT").write_text(canary)
    (secrets / "ALGOTRADE_KAFKA__SASL_PASSWORD").write_text(canary)
    file = yaml_file(f"kafka: {{timeout_seconds: {canary}, sasl_password: [{canary}]}}\ndata: {{start: {canary}}}")
    environ = {
        "ALGOTRADE_DATA__PACE": canary,
        "ALGOTRADE_DATA__SYMBOLS": f"[{canary}",
        "ALGOTRADE_ORDER__LIMITS": canary,
        "ALGOTRADE_ORDER__PATIENCE": canary,
    }

    with pytest.raises(ConfigurationError) as caught:
        load(Settings, file, environ, secrets, {"kafka.embedded": canary})

    assert len(caught.value.problems) >= 7
    assert canary not in str(caught.value)
    assert canary not in repr(caught.value.problems)
    assert caught.value.__cause__ is None
    assert canary not in str(caught.value.__context__)


def test_rules_across_settings_are_reported():
    class Crossed(Section):
        low: int = 1
        high: int = 2

        @model_validator(mode="after")
        def _ordered(self):
            if self.low > self.high:
                raise ValueError("low must not be above high")
            return self

    with pytest.raises(ConfigurationError, match="low must not be above high"):
        load(Crossed, None, {"ALGOTRADE_LOW": "5"})


def test_a_missing_file_or_secrets_folder_is_refused(tmp_path):
    message = refusal(tmp_path / "no.yaml", {"ALGOTRADE_DATA__SYMBOLS": "[A]"}, tmp_path / "none")

    assert "no.yaml" in message
    assert "the folder of secret files cannot be read" in message


@pytest.mark.parametrize("text", [None, "kafka: [", "a: b: c"])
def test_a_file_that_cannot_be_read_is_the_only_thing_reported(yaml_file, tmp_path, text):
    file = tmp_path / "no.yaml" if text is None else yaml_file(text)

    with pytest.raises(ConfigurationError) as caught:
        load(Settings, file, {})

    assert [problem.field for problem in caught.value.problems] == ["the settings file"]


def test_the_fix_fits_where_the_value_was_given(yaml_file, tmp_path):
    (tmp_path / "secrets").mkdir()
    (tmp_path / "secrets" / "ALGOTRADE_KAFKA__PORT").write_text("ten")
    file = yaml_file("kafka: {timeout_seconds: '1', embedded: 'true'}")

    message = refusal(file, {"ALGOTRADE_DATA__SYMBOLS": "[A]"}, None, {"kafka.max_rate": "fast"})
    assert message.count("without quotes") == 2
    assert "write a number (option kafka.max_rate)" in message

    for given in (
        {"environ": {"ALGOTRADE_DATA__SYMBOLS": "[A]", "ALGOTRADE_KAFKA__PORT": "ten"}},
        {"environ": {"ALGOTRADE_DATA__SYMBOLS": "[A]"}, "secrets_dir": tmp_path / "secrets"},
    ):
        message = refusal(None, **given)
        assert "; write a whole number (" in message
        assert "quotes" not in message


def test_secret_files_of_others_are_left_alone(tmp_path):
    (tmp_path / "..data").mkdir()
    (tmp_path / "tls.key").write_bytes(b"\xff")
    (tmp_path / "ALGOTRADE_KAFKA__SASL_PASSWORD").write_text(" with blanks \n")

    settings = load(Settings, None, {"ALGOTRADE_DATA__SYMBOLS": "[A]"}, tmp_path)

    assert settings.kafka.sasl_password == SecretStr(" with blanks ")


def settings_with(password: str, **data) -> Settings:
    return Settings(kafka=Kafka(sasl_password=SecretStr(password)), data=Data(symbols=("A",), **data))


def test_resolved_settings_are_plain_and_mask_secrets():
    plain = resolved(settings_with("hunter2"))

    assert plain["kafka"]["sasl_password"] == "**********"
    assert plain["data"]["symbols"] == ["A"]
    assert plain["order"]["patience"] == "PT5S"
    assert plain["order"]["journal"] == "journal.db"
    assert "hunter2" not in str(plain)


def test_the_hash_depends_on_every_setting_but_secrets():
    base = config_hash(settings_with("hunter2", tags=frozenset("abcdef")))

    assert base == config_hash(settings_with("other", tags=frozenset("fedcba")))
    assert base != config_hash(settings_with("hunter2", tags=frozenset("abcde")))
    assert len(base) == 64


def test_secrets_can_be_listed_for_the_log():
    settings = Kafka(sasl_password=SecretStr("hunter2"), token=SecretBytes(b"abc"))

    assert list(secret_values([{"kafka": settings}, "plain"])) == ["hunter2", "abc"]


class Fast(Section):
    name: Literal["fast"] = "fast"
    steps: tuple[int, ...] = ()
    weights: dict[str, float] = {}


class Steady(Section):
    name: Literal["steady"] = "steady"


class Choices(Section):
    plan: Annotated[Fast | Steady, Field(discriminator="name")] = Fast()
    by_name: dict[str, Annotated[Fast | Steady, Field(discriminator="name")]] = {}


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("plan: {name: stedy}", "plan.name is none of fast, steady; did you mean steady? "),
        ("plan: {name: 7}", "plan.name is none of fast, steady; choose one of them "),
        ("plan: {steps: [1]}", "plan.name is required; add it "),
        ("by_name: {a: {name: fist}}", "by_name.a.name is none of fast, steady; did you mean fast? "),
        ("plan: {name: fast, steps: 1}", "plan.steps should be a list; write it as [A, B] "),
        ("plan: {name: fast, weights: 1}", "plan.weights should be settings of its own; write them as {NAME: VALUE} "),
        ("plan: fast", "plan should be settings of its own; write them as {NAME: VALUE} "),
    ],
)
def test_a_choice_or_shape_that_does_not_fit_is_told_in_the_words_of_the_file(yaml_file, text, told):
    with pytest.raises(ConfigurationError) as caught:
        load(Choices, yaml_file(text), {})
    assert str(caught.value).startswith(told), str(caught.value)
