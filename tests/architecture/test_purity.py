"""Every module is pure, listed in pyproject.toml, or shell, listed here; all of launcher is shell."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

SHELL = {
    "contracts": "schema_export schema_validator",
    "domain": "exchange_sessions",
    "kernel": """asides
        audit_log audit_trail broker_watch clock code_version crash_points dead_letter_writer dead_letters
        embedded_broker flow health heartbeat kafka_admin kafka_bus kafka_consumer kafka_decoding kafka_errors
        kafka_history kafka_lookahead kafka_offsets kafka_others kafka_outstanding kafka_producer kafka_progress
        kafka_publishing kafka_settings kafka_strict_log kafka_tail log metrics plane process pump recorder redrive
        settings signing storm_breaker tally""",
    "data_plane": """app backfill_note composition connectors.csv_source connectors.ibkr connectors.ibkr_cache
        connectors.ibkr_history connectors.ibkr_live connectors.ibkr_quotes connectors.ibkr_trades
        connectors.parquet_source connectors.replay connectors.table_source feed live store synthetic
        synthetic_tables""",
    "strategy_plane": "app composition ensemble_composition optimizers.composition own_code validation.trial_ledger",
    "order_plane": """admission announcing app brokers.ibkr brokers.ibkr_answers brokers.ibkr_form brokers.ibkr_ids
        brokers.ibkr_session brokers.ibkr_venue brokers.sqlite_paper_store checking claim_log command_channel
        command_fields composition decisions dispatch execution gates go_live_terms inheritance journals.file
        journals.file_place journals.postgres journals.sql journals.sqlite journals.sqlite_file late_trades
        operator_commands outage parting reconciler recovery replacing retelling router sending upkeep urgent""",
    "gates": """account_probe artifact_validation context generated go_live governance integration_flow interface_map
        live_planes mock_gateway paper_session rehearsal running schema_export session_ending session_measures
        session_report shelf sources suites timed_broker""",
    "ibkr_client": """connection contracts first_contact first_look gateway_note inbox library lifeline loop_thread
        pacer refusals terms witness""",
    "ibkr_sim": "__main__ bar_files cli command server",
    "backtest": """artifacts bar_file report report_figures report_signals run_record signal_study simulation trials
        validation_report""",
}
IMPURE_NAMES = {"open", "print", "input", "eval", "exec", "__import__", "breakpoint"}
IMPURE_METHODS = {
    *("now", "utcnow", "today", "uuid1", "uuid4", "default_rng"),
    *("open", "read_text", "read_bytes", "write_text", "write_bytes", "exists", "is_file", "stat", "resolve", "cwd"),
    *("mkdir", "unlink", "rename", "touch", "glob", "rglob", "iterdir"),
}


def test_every_module_is_either_pure_or_shell(root: Path, pure: list[str], linter: dict[str, list[str]]) -> None:
    shell = [f"{package}.{name}" for package, names in SHELL.items() for name in names.split()]
    modules = [name for package in {*linter["root_packages"]} - {"launcher"} for name in _modules(root, package)]
    assert sorted([*pure, *shell]) == sorted(modules)


def test_a_package_itself_holds_nothing(root: Path, linter: dict[str, list[str]]) -> None:
    for package in linter["root_packages"]:
        for path in (root / package).rglob("__init__.py"):
            assert [type(node) for node in ast.parse(path.read_text("utf-8")).body] == [ast.Expr], path


def test_pure_modules_call_nothing_that_reaches_outside(root: Path, pure: list[str]) -> None:
    assert [f"{name}: {call}" for name in pure for call in _impure_calls(_source(root, name))] == []


@pytest.mark.parametrize("line", ["datetime.now(UTC)", "open(path)", "path.read_text()", "np.random.default_rng()"])
def test_such_a_call_would_be_found(line: str) -> None:
    assert list(_impure_calls(f"def f():\n    return {line}\n"))


def test_pure_modules_keep_no_state_of_their_own(root: Path, pure: list[str]) -> None:
    declared = {
        f"{name}: global {', '.join(node.names)}"
        for name in pure
        for node in ast.walk(ast.parse(_source(root, name)))
        if isinstance(node, ast.Global)
    }
    assert declared == set()


def _modules(root: Path, package: str) -> Iterator[str]:
    for path in (root / package).rglob("*.py"):
        if path.name != "__init__.py":
            yield ".".join(path.relative_to(root).with_suffix("").parts)


def _source(root: Path, module: str) -> str:
    return (root / f"{module.replace('.', '/')}.py").read_text("utf-8")


def _impure_calls(source: str) -> Iterator[str]:
    for node in ast.walk(ast.parse(source)):
        if not isinstance(node, ast.Call):
            continue
        called = node.func
        named = isinstance(called, ast.Name) and called.id in IMPURE_NAMES
        if named or (isinstance(called, ast.Attribute) and called.attr in IMPURE_METHODS):
            yield f"line {node.lineno} {ast.unparse(called)}"
