"""Where closed windows and alerts go: InfluxDB and the local history."""
