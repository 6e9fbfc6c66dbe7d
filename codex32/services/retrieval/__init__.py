"""Collections of documents: read, cut up, found again, and quoted from."""
