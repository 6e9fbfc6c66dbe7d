"""The contracts written as tests: subclass the suite of what you wrote, and say where it is.

::

    class TestSlugify(BotTypeSuite):
        cases = [({"text": "Good Morning"}, "good-morning")]
        wrong = [{}, {"text": 3}]

        @pytest.fixture
        def bot_type(self):
            return Slugify()

The house's own components, the fakes and every plugin pass the same suites.
"""

from codex32_testing.conformance.bot_type import BotTypeSuite
from codex32_testing.conformance.embedder import EmbedderSuite
from codex32_testing.conformance.llm import LLMProviderSuite
from codex32_testing.conformance.model_service import ServedEmbedderSuite, ServedLLMSuite
from codex32_testing.conformance.notifier import NotifierSuite
from codex32_testing.conformance.sandbox import SandboxSuite
from codex32_testing.conformance.secret_store import SecretStoreSuite
from codex32_testing.conformance.served_vector_store import ServedVectorStoreSuite
from codex32_testing.conformance.trigger_type import TriggerTypeSuite
from codex32_testing.conformance.vector_store import VectorStoreSuite

__all__ = [
    "BotTypeSuite",
    "EmbedderSuite",
    "LLMProviderSuite",
    "NotifierSuite",
    "SandboxSuite",
    "SecretStoreSuite",
    "ServedEmbedderSuite",
    "ServedLLMSuite",
    "ServedVectorStoreSuite",
    "TriggerTypeSuite",
    "VectorStoreSuite",
]
