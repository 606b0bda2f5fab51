"""Recordings run again: replayed, verified, resumed."""
