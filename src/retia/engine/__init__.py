"""The engine: nets are run here. The walk is the reference; calls and derivatives stand on it."""
