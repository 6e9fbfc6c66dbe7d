import pytest

from codex32.engine.running.programs import granted
from codex32.kernel.bot import Allow
from codex32.kernel.contracts.program import Program
from codex32.kernel.errors import CapabilityRefused
from codex32.kernel.requirements import canonical


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        ("httpx==0.28.1", "httpx==0.28.1"),
        (" My_Package.x == 1.0RC1 ", "my-package-x==1.0rc1"),
        ("pkg[B, a]==1!2+local", "pkg[a,b]==1!2+local"),
    ],
)
def test_a_requirement_has_one_spelling(written, meant):
    assert canonical(written) == meant


@pytest.mark.parametrize(
    "written",
    [
        "httpx",
        "httpx>=1",
        "httpx==1.*",
        "a==1,==2",
        "-r x==1",
        "a @ file:///x",
        "a==1; x",
        "",
        "a===1",
    ],
    ids=str,
)
def test_what_names_no_exact_version_is_none(written):
    with pytest.raises(ValueError, match="one exact version"):
        canonical(written)


def test_a_program_requires_what_its_bot_allows_however_it_is_spelled():
    allow = Allow(packages=("My_Package==1.0",))
    assert granted(Program("", requires=("my-package == 1.0",)), allow).requires
    for other in ("my-package==1.1", "my-package[x]==1.0", "other==1.0", "my-package"):
        with pytest.raises(CapabilityRefused, match="packages"):
            granted(Program("", requires=(other,)), allow)
