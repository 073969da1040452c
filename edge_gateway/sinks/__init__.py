"""Destinations of stored windows and alerts; each sink reads the store's outbox at its own pace."""
