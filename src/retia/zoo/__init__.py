"""Nets that come with Retia. Here are small ones, untrained, by a function each."""
