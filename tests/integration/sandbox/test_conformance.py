"""The house's own sandboxes keep the contract that it asks of others."""

import pytest

from codex32.outside.sandboxes.linux import NamespaceSandbox, PlainSandbox, ProcessSandbox
from codex32_testing.conformance import SandboxSuite


class TestNamespace(SandboxSuite):
    @pytest.fixture
    async def sandbox(self):
        sandbox = NamespaceSandbox()
        yield sandbox
        await sandbox.close()


class TestProcess(SandboxSuite):
    @pytest.fixture
    async def sandbox(self):
        sandbox = ProcessSandbox()
        yield sandbox
        await sandbox.close()


class TestPlain(SandboxSuite):
    @pytest.fixture
    async def sandbox(self):
        sandbox = PlainSandbox()
        yield sandbox
        await sandbox.close()
