"""Composition: the command, settings, local servers and the supervisor."""
