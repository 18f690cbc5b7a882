"""The eight stages between an idea and live trading: what each checks, what it leaves behind, and who signs."""
