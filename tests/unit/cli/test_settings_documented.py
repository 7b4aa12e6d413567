"""docs/settings.md, .env.example and the code name the same settings."""

from __future__ import annotations

import re
from pathlib import Path

ROOT = Path(__file__).resolve().parents[3]
CODE = ("plugins", "providers", "bridge_api", "dags")
NAME = re.compile(r"\b(?:HUB|BQE|INTEGRATIONS)_[A-Z][A-Z_]*[A-Z]\b|\bRUN_MIGRATIONS_ON_START\b")
READ = re.compile(
    r"""(?:environ(?:ment)?|os\.environ|env)(?:\.get\(|\.setdefault\(|\[)\s*f?["']([A-Z][A-Z_]+)["']"""
)
# Error codes and the like that look like settings but are none.
NO_SETTINGS = frozenset({"HUB_ERROR"})
SETTING = re.compile(r"^(?:HUB|BQE|INTEGRATIONS|RUN)_")


def names_in(path: str) -> set[str]:
    return set(NAME.findall((ROOT / path).read_text(encoding="utf-8")))


def sources() -> str:
    files = (file for folder in CODE for file in sorted((ROOT / folder).rglob("*.py")))
    return "\n".join(file.read_text(encoding="utf-8") for file in files)


def test_every_setting_read_in_code_is_documented() -> None:
    text = sources()
    read = {name for name in READ.findall(text) if SETTING.match(name)}
    read |= (
        set(re.findall(r"""["'](HUB_[A-Z_]+|RUN_MIGRATIONS_ON_START)["']""", text)) - NO_SETTINGS
    )
    assert read, "the pattern finds nothing any more"
    assert read <= names_in("docs/settings.md")
    assert read <= names_in(".env.example")


def test_every_limit_of_a_provider_is_documented() -> None:
    suffixes = set(re.findall(r"""\{(?:\w+\.)*(?:env_)?prefix\}(_[A-Z_]+)""", sources()))
    assert suffixes >= {"_CLIENT_ID", "_CLIENT_SECRET", "_REQUESTS_PER_MINUTE"}
    wanted = {f"BQE{suffix}" for suffix in suffixes}
    assert wanted <= names_in("docs/settings.md")
    assert wanted <= names_in(".env.example")


def test_the_page_the_example_and_compose_name_the_same_settings() -> None:
    page, example = names_in("docs/settings.md"), names_in(".env.example")
    assert page == example
    assert names_in("docker-compose.yml") <= page


def test_the_example_holds_no_secret() -> None:
    for line in (ROOT / ".env.example").read_text(encoding="utf-8").splitlines():
        name, equals, value = line.partition("=")
        if equals and not name.startswith("#") and re.search("PASSWORD|SECRET|KEY|TOKEN", name):
            assert value.partition("#")[0].strip() == "", name
