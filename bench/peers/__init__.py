"""The peers, one file each, written as their own documents advise.

A function here is a job: it takes its turns, and returns what is said at the end.
"""
