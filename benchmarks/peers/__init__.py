"""Others who carry work to workers, each as it comes: a module each, named after it.

Bare Dramatiq is always there; the rest are measured where they are installed.
"""
