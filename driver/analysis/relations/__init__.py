"""Resolution of relations, one kind a file."""
