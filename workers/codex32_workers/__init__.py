"""Dramatiq over Redis: broker, actors, middleware, the scheduler loop."""
