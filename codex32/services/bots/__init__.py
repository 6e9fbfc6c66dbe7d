"""Bots and their versions, wherever they come from."""
