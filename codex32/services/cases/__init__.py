"""Tests of bot files: an execution with nothing outside, and whether it ended as it must."""
