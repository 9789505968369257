"""The commands that deliver alerts as webhooks."""
