"""The simulator of Interactive Brokers as a command of ``algotrade``."""

import typer

from ibkr_sim.cli import ibkr_sim

app = typer.Typer()
app.command("ibkr-sim")(ibkr_sim)
