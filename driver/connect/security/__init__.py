"""Who calls, how the calls travel, and what the caller may read."""
