"""What ``codex32 plugins new`` writes: a file a kind, and one for what all have in common."""
