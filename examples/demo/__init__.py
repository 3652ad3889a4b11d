"""Three peers of two customers, one regression model on all their rows: what `make demo` shows."""
