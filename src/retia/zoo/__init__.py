"""Nets that come with Retia, untrained, by a function each: small ones, and known ones for pictures."""
