"""Compose and start."""
