"""What Codex-32 is made of: values, contracts, hooks, rows and errors."""
