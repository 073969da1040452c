"""Where stored windows and alerts are sent; each sink reads the store's outbox at its own pace."""
