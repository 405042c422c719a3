"""Seeing what a server does: what is noted of its work, and the pages, metrics, logs and traces made of that."""
