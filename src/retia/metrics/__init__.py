"""Measurements: losses, what a net is to lower, and reports of how well it does.

This room knows nets, codecs, sources and the walk; training stands above it.
"""
