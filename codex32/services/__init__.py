"""What users ask for: plain functions over rows, called through the database door."""
