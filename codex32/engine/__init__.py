"""From a bot file to a plan, and from a plan to a recorded execution."""
