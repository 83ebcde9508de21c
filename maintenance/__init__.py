"""What only maintainers run: it writes tables that the product ships with."""
