"""What is decided and written about executions: claims, gates, turns, rates, records."""
