"""Events: written with what they tell of, delivered afterwards."""
