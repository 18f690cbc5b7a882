"""Named strategies built from signals or rules."""
