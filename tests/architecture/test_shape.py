"""The shape of the house: what import-linter cannot say (docs/architecture.md)."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
TRUNK = ROOT / "plugins" / "integrations_hub"
CODE = [TRUNK, ROOT / "providers", ROOT / "bridge_api", ROOT / "dags"]
FOLDERS = {"dags", "plugins", "providers", "bridge_api", "tests", "docs"}
FILES = {"docker-compose.yml", "requirements.txt", "README.md"}
TOOLING = {
    ".ci", ".dockerignore", ".env.example", ".gitignore", "CHANGELOG.md", "CONTRIBUTING.md", "Dockerfile", "Makefile", "pyproject.toml",
}  # fmt: skip


def _python(*folders: Path) -> list[Path]:
    return [p for folder in folders for p in sorted(folder.rglob("*.py"))]


def _tracked() -> list[str]:
    listed = subprocess.run(
        ["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=True
    )
    return listed.stdout.splitlines()


def test_the_root_holds_the_cards_eight_entries_docs_and_tooling() -> None:
    top = {path.split("/")[0] for path in _tracked()}
    assert top - FOLDERS - FILES - TOOLING == set()
    assert top >= FOLDERS | FILES


@pytest.mark.parametrize(
    "path", [*_python(TRUNK / "domain"), TRUNK / "errors.py"], ids=lambda p: p.name
)
def test_domain_imports_the_standard_library_only(path: Path) -> None:
    allowed = set(sys.stdlib_module_names) | {"__future__"}
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        names = [a.name for a in node.names] if isinstance(node, ast.Import) else []
        if isinstance(node, ast.ImportFrom) and node.module:
            names = [node.module]
        for name in names:
            ours = name.startswith(("integrations_hub.domain", "integrations_hub.errors"))
            assert ours or name.split(".")[0] in allowed, f"{path.name} imports {name}"


@pytest.mark.parametrize("path", _python(*CODE), ids=lambda p: str(p.relative_to(ROOT)))
def test_a_file_holds_one_noun_in_at_most_300_lines(path: Path) -> None:
    # the errors are one table of leaves, in one file by recovery
    most = 400 if path == TRUNK / "errors.py" else 300
    assert len(path.read_text(encoding="utf-8").splitlines()) <= most


def test_no_module_shadows_the_standard_library_or_is_a_grab_bag() -> None:
    stems = {p.stem for p in _python(*CODE)} - {"__init__"}
    assert stems & {"utils", "helpers", "common", "misc", "base"} == set()
    top_level = {p.stem for p in TRUNK.glob("*.py")}
    assert top_level & set(sys.stdlib_module_names) == set()


@pytest.mark.parametrize(
    "path", [p for p in _python(*CODE) if p.name == "__init__.py"], ids=lambda p: p.parent.name
)
def test_an_init_holds_a_docstring_and_nothing_else(path: Path) -> None:
    body = ast.parse(path.read_text(encoding="utf-8")).body
    assert len(body) <= 1
    assert ast.get_docstring(ast.parse(path.read_text(encoding="utf-8")))


def test_sql_stands_in_the_store_only() -> None:
    verbs = re.compile(r"\b(SELECT\s.+\sFROM|INSERT\s+INTO|UPDATE\s+hub\.|DELETE\s+FROM)\b", re.S)
    for path in _python(*CODE):
        if TRUNK / "store" in path.parents:
            continue
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Constant) and isinstance(node.value, str):
                assert not verbs.search(node.value), f"{path.relative_to(ROOT)}:{node.lineno}"


def test_no_assert_outside_tests() -> None:
    for path in _python(*CODE):
        nodes = ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        assert not any(isinstance(node, ast.Assert) for node in nodes), path.name


def test_no_provider_is_named_outside_its_folder() -> None:
    """The columns bqe_client_name and bqe_client_id, the policy follow_bqe and the demo are the user's own names."""
    allowed = re.compile(r"bqe_client_(name|id)|follow_bqe|backfill_bqe", re.I)
    for path in _python(TRUNK, ROOT / "bridge_api", ROOT / "dags"):
        if path.name.startswith("demo"):
            continue
        text = allowed.sub("", path.read_text(encoding="utf-8"))
        assert not re.search(r"bqe", text, re.I), path.relative_to(ROOT)


@pytest.mark.parametrize(
    ("package", "where"),
    [
        ("airflow", "dags"),
        ("airflow.providers.http", "plugins"),
        ("airflow.providers.postgres", "plugins"),
        ("cryptography", "plugins"),
        ("jsonschema", "plugins"),
        ("requests", "plugins"),
        ("fastapi", "bridge_api"),
        ("pytest", "tests"),
    ],
)
def test_the_packages_of_the_card_are_used(package: str, where: str) -> None:
    pattern = re.compile(rf"^\s*(from|import) {re.escape(package)}\b", re.M)
    found = [p for p in _python(ROOT / where) if pattern.search(p.read_text(encoding="utf-8"))]
    assert found or package in _text_of_entry_points()


def _text_of_entry_points() -> str:
    return (ROOT / "dags" / "integrations_hub_dags.py").read_text(encoding="utf-8")


def test_the_lock_has_hashes_and_names_no_registry() -> None:
    text = (ROOT / "requirements.txt").read_text(encoding="utf-8")
    assert not re.search(r"^--(extra-)?index|^--find-links|https?://", text, re.M)
    pins = re.findall(r"^[A-Za-z0-9][^\s#]*==", text, re.M)
    assert len(pins) > 100
    assert text.count("--hash=sha256:") >= len(pins)
