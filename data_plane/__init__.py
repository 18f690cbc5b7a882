"""Venue data in, validated market events out."""
