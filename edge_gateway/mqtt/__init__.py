"""The gateway at the broker: the telemetry session, the control session, and a broker of its own."""
