"""What a plugin can offer: one file a kind, small abstract classes."""
