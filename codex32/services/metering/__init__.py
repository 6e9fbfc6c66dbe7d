"""What is counted and measured of the house, and how it stands; for Prometheus and its like.

Counts are rows to which every process adds what it counted since it last said that it is alive.
So one look shows the house, over all processes and machines; nothing is lost when a process ends
in order, ten seconds of counting when one is killed, and no number of processes or restarts
leaves anything behind that would have to be put together.
"""
