"""The operations of the house, a family a file."""
