"""Pure trading facts that every plane shares."""
