"""How well and how fast documents are found; the queries and what answers them lie beside it."""
