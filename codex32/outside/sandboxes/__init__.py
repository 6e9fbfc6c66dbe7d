"""Where the Python of bots runs: the house's sandboxes, and which of them is trusted here."""
