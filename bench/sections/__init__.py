"""What is measured, one file a section: ``TITLE``, ``WORDS`` and ``measure(how)``, which answers tables."""
