"""The status page and its API over HTTP."""
