"""`edge-gateway`: the only place with arguments, printing and exit statuses.

0 ok · 1 a test or check failed · 2 bad input or usage, an unknown device included · 3 cannot reach what it needs
130 interrupted

What stands here imports next to nothing, so that an interrupt is answered from the first moment on.
"""

from fleet_console import interrupts


def main(arguments: list[str] | tuple[str, ...] | None = None) -> None:
    """Run the CLI with `arguments`, or as the process it is; ends in SystemExit.

    Every failure is one clear text and an exit status, a traceback only with --debug.
    """
    if arguments is not None:
        from edge_gateway.cli.commands import carry_out

        carry_out(arguments)
        return
    interrupts.end_at_once()
    from edge_gateway.cli.commands import carry_out_process

    carry_out_process()
