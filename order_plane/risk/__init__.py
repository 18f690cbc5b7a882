"""Pre-trade controls."""
