#!/bin/sh
# Runs every benchmark in turn and ends with 1 when one of them fails its target. Needs `make setup` before.
set -u
cd "$(dirname "$0")/.." || exit 2
PYTHON=${PYTHON:-.venv/bin/python}
PEERS=${PEERS:-.venv-peers}

# What solves and reads there is what solves and reads here.
packages=$("$PYTHON" -c 'import tomllib
from importlib.metadata import version
peers = tomllib.load(open("pyproject.toml", "rb"))["project"]["optional-dependencies"]["peers"]
ours = ("clarabel", "cvxpy", "numpy", "pyarrow", "scipy")
print(*peers, *(name + "==" + version(name) for name in ours))') || exit 2
if [ "$(cat "$PEERS/.ready" 2>/dev/null)" != "$packages" ]; then
    echo "installing the engines to compare with into $PEERS"
    "$PYTHON" -m venv "$PEERS" || exit 2
    # shellcheck disable=SC2086 # one word for each package
    "$PEERS/bin/pip" install --quiet --disable-pip-version-check $packages || exit 2
    echo "$packages" >"$PEERS/.ready"
fi

said=$(mktemp)
trap 'rm -f "$said"' EXIT
failed=0

measure() {
    echo
    echo "== $1"
    shift
    { "$@" 2>&1; echo "exit code $?"; } | tee "$said"
    if grep -q FAIL "$said" || ! tail -n 1 "$said" | grep -qx "exit code 0"; then
        failed=1
    fi
}

measure "reading and writing contracts" "$PYTHON" -m benchmarks.contract_speed
measure "the memory-bus run beside other engines" "$PYTHON" -m benchmarks.memory_bus --peers "$PEERS/bin/python"
measure "portfolio optimisation" "$PEERS/bin/python" -m benchmarks.optimizer
measure "the controls before every order" "$PYTHON" -m benchmarks.controls
measure "the order journal" "$PYTHON" -m benchmarks.journal
measure "a kill switch" "$PYTHON" -m benchmarks.kill
measure "latency over Kafka" "$PYTHON" -m benchmarks.kafka_latency
measure "throughput over Kafka" "$PYTHON" -m benchmarks.kafka_throughput
if "$PYTHON" -c 'from ibkr_client.library import find_library; find_library()' 2>/dev/null; then
    measure "Interactive Brokers" "$PYTHON" -m benchmarks.ibkr
    measure "from the close of a bar to the order at the gateway" "$PYTHON" -m benchmarks.ibkr_over_kafka
else
    echo
    echo "== Interactive Brokers: not measured; pip install -e '.[ibkr-async]'"
fi

echo
[ "$failed" -eq 0 ] && echo "PASS: every target is met" || echo "FAIL: see above"
exit "$failed"
