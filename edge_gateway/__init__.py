"""The edge gateway: MQTT readings in, exact windows and alerts out, nothing acknowledged is lost."""
