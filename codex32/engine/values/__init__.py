"""Values held against JSON Schemas."""
