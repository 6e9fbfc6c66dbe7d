"""Everything that has to do with models: calling them, paying them, building on them."""
