"""A house with servers of its own, violence against it, and the books that are kept meanwhile.

``arena``       builds the house: API, schedulers, workers, Redis, PostgreSQL or SQLite, proxies
``world``       the outside: an HTTP server that counts every effect by its key
``bots``        what the house has to do
``load``        submits it, over HTTP, and notes what was acknowledged
``proxy``       stands before a server: stalls, cuts, loses answers
``accounting``  counts everything afterwards; triggers in the database note every ending
"""
