"""Run the simulator alone: ``python -m ibkr_sim``."""

import typer

from ibkr_sim.cli import ibkr_sim

if __name__ == "__main__":
    typer.run(ibkr_sim)
