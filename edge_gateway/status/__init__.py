"""What the gateway says of itself: its report, its problems, its logs."""
