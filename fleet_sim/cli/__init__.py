"""`fleet-sim`: the only place with arguments, printing and exit statuses.

0 pass · 1 expectations failed · 2 bad input or usage · 3 broker, gateway or database unreachable
4 inconclusive: the generator itself was saturated, the run to judge goes on, or no window could be judged
130 interrupted

This module imports next to nothing, so that an interrupt is answered from the first moment on.
"""

from fleet_console import interrupts


def main(arguments: list[str] | tuple[str, ...] | None = None) -> None:
    """Run the CLI with `arguments`, or with those of the process; ends in SystemExit.

    Every failure is one clear text and an exit status, a traceback only with --debug.
    """
    if arguments is not None:
        from fleet_sim.cli.commands import carry_out

        carry_out(arguments)
        return
    interrupts.end_at_once()
    from fleet_sim.cli.commands import carry_out_process

    carry_out_process()
