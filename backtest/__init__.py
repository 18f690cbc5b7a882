"""The deterministic engine over the same stages."""
