"""What a plugin author needs for tests.

``conformance``
    Suites to subclass: the contracts' docstrings written as tests.
``context`` · ``http`` · ``collections``
    Fakes to hand in: ``FakeStepContext``, ``FakeHttp``, ``FakeCollections``,
        ``FakeMcpServers``.
``loopback``
    ``LoopbackServer``, a real server that answers, and misbehaves, as told.
``loading``
    ``load_plugin``: what the house would make of your plugin.

Nothing is imported here: pytest loads this package before coverage is measured.
"""
