"""What both command lines share: commands, tables, errors in words, log lines, interrupts, the version."""
