"""Programs that try to escape a sandbox, what they must not reach, and how they are run.

``corpus`` holds the programs; every idea for a way out belongs there. ``prey`` sets up what they
must not reach and tells afterwards whether it was touched. ``drive`` runs the corpus in a
process of its own, as ``users`` can have it run by an ordinary user.
"""
