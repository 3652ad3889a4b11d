"""One suite of behaviours for all kinds of backends."""
