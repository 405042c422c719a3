"""Voltray in a notebook: `%load_ext voltray`, the magics `%sql` and `%%sql`, tables, progress (docs/clients.md)."""
