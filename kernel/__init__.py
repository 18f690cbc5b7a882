"""How any process of the platform runs; knows no trading."""
