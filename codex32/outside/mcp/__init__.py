"""The house as a client of the Model Context Protocol: of servers started here, or over HTTP."""
