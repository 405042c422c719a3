"""Structured streaming: queries that run a plan again and again, each time over what is new."""
