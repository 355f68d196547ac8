"""What a training tells: what its layers did, a verdict with the evidence, a report."""
