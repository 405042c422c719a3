"""Spark Connect messages made into unresolved plans."""
