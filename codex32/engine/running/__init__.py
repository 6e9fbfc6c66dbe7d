"""Attempts: what happens between a claim and an end."""
