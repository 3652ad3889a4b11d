"""What gateway, operator, node and the outside agree on."""
