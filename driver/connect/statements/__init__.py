"""SQL statements that are done at once, one module for each family."""
