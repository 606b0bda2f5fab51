"""Kernels in containers, on a real engine."""
