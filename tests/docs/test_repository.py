"""The repository as a whole: links lead somewhere, folders explain themselves, no machine shows through."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from tests.docs.documents import DOCUMENTS, ROOT, anchors, links

PACKAGES = ("llmhub", "receivers", "collector", "storage", "grafana")
PAGES = [*DOCUMENTS, *(ROOT / name / "README.md" for name in PACKAGES)]
# Written so that this file does not contain them itself.
PATHS_OF_A_MACHINE = tuple(f"/{name}/".encode() for name in ("work", "tmp/lab", "root"))

pytestmark = pytest.mark.checkout


def tracked_files() -> list[Path]:
    """What is in the repository or would be with the next commit."""
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"], cwd=ROOT, capture_output=True
    )
    if listed.returncode != 0:
        pytest.skip("this is no git checkout: which files belong to the project is not known")
    return [path for name in listed.stdout.decode().split("\0") if name and (path := ROOT / name).is_file()]


@pytest.mark.parametrize("path", PAGES, ids=lambda path: str(path.relative_to(ROOT)))
def test_links_lead_somewhere(path: Path) -> None:
    for link in links(path.read_text(encoding="utf-8")):
        file, _, fragment = link.partition("#")
        if "://" in file:
            continue
        target = path.parent / file if file else path
        assert target.exists(), link
        assert not fragment or fragment in anchors(target.read_text(encoding="utf-8")), link


@pytest.mark.parametrize("package", PACKAGES)
def test_a_package_says_what_lives_there_and_how_to_add_to_it(package: str) -> None:
    text = (ROOT / package / "README.md").read_text(encoding="utf-8").lower()
    assert text.startswith(f"# {package}\n")
    assert "may import" in text
    assert "to add" in text or "**add" in text
    modules = [file.stem for file in (ROOT / package).glob("*.py") if not file.name.startswith("__")]
    assert [name for name in modules if name not in text] == []


def test_the_licence_is_the_one_that_the_package_names() -> None:
    text = (ROOT / "LICENSE").read_text(encoding="utf-8")
    assert "Apache License" in text
    assert "Version 2.0, January 2004" in text
    assert 'license = "Apache-2.0"' in (ROOT / "pyproject.toml").read_text(encoding="utf-8")


def test_no_file_names_a_path_of_the_machine_it_was_made_on() -> None:
    for path in tracked_files():
        content = path.read_bytes()
        found = [name for name in PATHS_OF_A_MACHINE if name in content]
        assert not found, f"{path.relative_to(ROOT)} contains {found}"
