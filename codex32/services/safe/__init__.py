"""What must not leak and must not be changed unnoticed: secrets, keys, the audit log."""
