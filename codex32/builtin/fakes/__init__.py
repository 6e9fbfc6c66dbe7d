"""Stand-ins that keep their contracts: for tests, samples and first steps."""
