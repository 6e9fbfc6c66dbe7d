import pytest

from codex32 import Notifier, Receipt, SecretStore
from codex32.kernel.components import KINDS, Components
from codex32.kernel.errors import ComponentNotFound


class Bell(Notifier):
    name = "bell"

    async def send(self, notification, target, *, http, timeout_seconds):
        return Receipt()


class Drawer(SecretStore):
    scheme = "drawer"

    async def read(self, name):
        return None


def test_components_are_found_by_their_names():
    bell, drawer = Bell(), Drawer()
    components = Components.of(notifiers=[bell], secret_stores=[drawer])
    assert components.notifier("bell") is bell
    assert components.secret_store("drawer") is drawer


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.key)
def test_what_is_not_installed_is_named_with_its_kind(kind):
    singular = kind.key.removesuffix("es" if kind.key.endswith("xes") else "s")
    with pytest.raises(ComponentNotFound) as raised:
        getattr(Components(), singular)("none")
    assert str(raised.value) == f"no {kind.word} is called 'none'; installed: none"


def test_a_misspelt_name_is_answered_with_the_right_one():
    with pytest.raises(ComponentNotFound, match=r"\(did you mean 'bell'\?\); installed: bell"):
        Components.of(notifiers=[Bell()]).notifier("bel")


def test_two_components_of_one_name_are_refused():
    with pytest.raises(ValueError, match="two components are called 'bell'"):
        Components.of(notifiers=[Bell(), Bell()])


def test_an_unknown_kind_is_refused():
    with pytest.raises(TypeError, match="no kinds: notifier; kinds: bot_types"):
        Components.of(notifier=[Bell()])


def test_what_is_installed_cannot_be_changed():
    with pytest.raises(TypeError):
        Components.of(notifiers=[Bell()]).notifiers["gong"] = Bell()
