"""A former installation: its registry and its code, read and never executed."""
