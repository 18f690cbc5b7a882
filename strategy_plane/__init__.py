"""Market events and execution reports in, order intents out."""
