"""Corrections that an operator asks for: backfills, reviewed before they are sent, and replays."""
