"""Training: optimizers, the step, the loop, and what it answers.

Nothing here is changed in place that a user can see: a training takes a net and answers another one.
"""
