"""Resolution of expressions, one kind a file."""
