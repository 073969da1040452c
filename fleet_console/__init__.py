"""What both command lines share: commands, tables, texts of errors, log lines, interrupts, the version."""
