"""One training loop, and what it reports."""
