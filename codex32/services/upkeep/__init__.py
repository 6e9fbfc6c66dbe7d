"""What keeps the house in order by itself."""
