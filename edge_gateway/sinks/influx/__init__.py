"""InfluxDB 2: writing to it, checking it, and its set-up."""
