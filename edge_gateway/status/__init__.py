"""What the gateway reports about itself: status, problems, counters and logs."""
