"""What `make demo` and `make test` install: exact versions of everything that pyproject.toml asks for, with hashes."""

import re
import tomllib
from pathlib import Path
from typing import Any

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).parents[1]
PROJECT: dict[str, Any] = tomllib.loads((ROOT / "pyproject.toml").read_text())


def locked(extra: str) -> list[Requirement]:
    """Read a lock file, all of whose lines are `name==version ; marker`, hashes and comments."""
    text = (ROOT / f"requirements-{extra}.txt").read_text()
    lines = [line for line in text.replace("\\\n", "").splitlines() if not line.lstrip().startswith("#")]
    assert len(lines) > 20
    found = []
    for line in lines:
        requirement, *hashes = re.split(r"\s+--hash=sha256:", line.strip())
        assert hashes, line
        assert all(re.fullmatch("[0-9a-f]{64}", digest) for digest in hashes)
        found.append(Requirement(requirement))
        assert re.fullmatch(r"==[\w.+!]+", str(found[-1].specifier))
        assert found[-1].url is None
    return found


def wanted(*extras: str) -> list[Requirement]:
    """Return what some extras ask for, with those that they name in turn."""
    project = PROJECT["project"]
    texts = [text for extra in extras for text in project["optional-dependencies"][extra]]
    requirements = [Requirement(text) for text in texts]
    inner = {extra for each in requirements if each.name == project["name"] for extra in each.extras}
    return [each for each in requirements if each.name != project["name"]] + (wanted(*inner) if inner else [])


@pytest.mark.parametrize("extra", ["demo", "test"])
def test_all_that_is_asked_for_is_locked(extra: str) -> None:
    """A change of pyproject.toml without `make lock` shows here, as does a build tool that is missing."""
    own = [*PROJECT["project"]["dependencies"], *PROJECT["build-system"]["requires"]]
    pins = locked(extra)
    for want in [*map(Requirement, own), *wanted(extra)]:
        versions = [str(pin.specifier)[2:] for pin in pins if pin.name == canonicalize_name(want.name)]
        assert versions, f"{want.name}: run `make lock`"
        assert all(want.specifier.contains(version, prereleases=True) for version in versions), f"{want}: `make lock`"


def test_the_demo_has_the_versions_of_the_tests() -> None:
    demo, test = ({str(pin) for pin in locked(extra)} for extra in ("demo", "test"))
    assert demo < test


def test_only_tests_install_a_party_that_reports() -> None:
    for extra in PROJECT["project"]["optional-dependencies"]:
        assert ("mediapipe" in {each.name for each in wanted(extra)}) == (extra == "test")
    assert "mediapipe" not in {pin.name for pin in locked("demo")}
