"""The query and control API: what is folded, over HTTP, and commands that travel the log."""
