"""`python -m fleet_demo [--directory .demo] [--keep] [--influx] [--sensors N] [--seed N]`."""

from fleet_console import interrupts

interrupts.end_at_once()

from fleet_demo.playing import application  # noqa: E402 - so that an interrupt works during the imports

application()
