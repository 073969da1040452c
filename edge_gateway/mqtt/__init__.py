"""MQTT: the telemetry session, the control connection, and the embedded broker."""
