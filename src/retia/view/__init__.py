"""Nets for the eye: tables, notebooks, terminal pictures. It reads the core; the core does not know it."""
