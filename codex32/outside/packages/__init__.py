"""Packages that Python steps require: found once, locked by hash, installed once, shared.

No code of a package runs outside a sandbox: wheels alone are taken, and to install one is to
unpack it.
"""
