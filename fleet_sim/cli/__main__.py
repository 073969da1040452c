"""`python -m fleet_sim.cli`."""

from fleet_sim.cli import main

main()
