"""The stages that turn a strategy into order intents."""
