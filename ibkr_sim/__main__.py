"""Run the simulator alone: ``python -m ibkr_sim``."""

from ibkr_sim.cli import app

if __name__ == "__main__":
    app()
