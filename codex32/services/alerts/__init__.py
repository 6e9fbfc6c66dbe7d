"""Telling people of what goes wrong with bots, once, and of when it is well again.

A look asks what each alert looks at (:mod:`measuring`), says how it stands then
(:mod:`standing`), and where that is news writes it, together with the executions that carry the
notices (:mod:`notices`): so notices are repeated, resolved and found again as any effect is.
"""
