"""What is wrong, or looks so, with a net and its data before the first step: ``rt.check``."""
