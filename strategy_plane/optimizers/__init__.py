"""From expected returns and risk to target weights."""
