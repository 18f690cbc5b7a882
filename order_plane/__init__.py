"""Order intents in, broker orders and execution reports out."""
