"""Recordings, and the notebooks of others, run again and compared."""
