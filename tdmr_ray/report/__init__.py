"""Leaderboards from records alone. Knows nothing about torch or Ray."""
