"""The contract between devices, broker and gateway: topics, messages, one thin MQTT 5 session."""
