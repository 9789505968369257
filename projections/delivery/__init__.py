"""Alerts to whoever subscribed to them, as Standard Webhooks, at least once."""
