"""Traces: spans of what this process does, and the way to whoever collects them."""
