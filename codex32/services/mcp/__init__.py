"""The house as a server of the Model Context Protocol: bots as tools."""
