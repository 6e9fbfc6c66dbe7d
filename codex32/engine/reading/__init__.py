"""Reading bot files: from YAML to a checked, immutable bot."""
