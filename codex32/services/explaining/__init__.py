"""What a bot is, for whoever must decide about it: by rules, from its definition alone."""
