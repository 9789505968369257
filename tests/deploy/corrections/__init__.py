"""Backfills and replays."""
