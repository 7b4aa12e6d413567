"""Where a token or a code could travel: https, or plain http on loopback; each place refuses with its own error."""

from __future__ import annotations

import copy
from collections.abc import Callable
from pathlib import Path

import pytest

from bridge_api.app import standalone
from integrations_hub import wiring
from integrations_hub.catalog.loader import load_provider
from integrations_hub.cli import doctor
from integrations_hub.errors import HostNotAllowed, HubError, MetadataInvalid, SettingInvalid
from integrations_hub.transport.hosts import HostGuard
from tests.kit.provider_json import ACME, written

PLAIN = [
    "http://hub.example.test",
    "http://127.0.0.1.example.test",
    "http://localhost.example.test",
    "http://10.0.0.1",
    "http://[2001:db8::1]",
    "http://0.0.0.0",
    "ftp://127.0.0.1",
]
PLACES: dict[str, tuple[Callable[[str], object], type[HubError]]] = {
    "HUB_PUBLIC_URL (hub up, hub doctor)": (
        lambda url: doctor.check_public_url({"HUB_PUBLIC_URL": url}),
        SettingInvalid,
    ),
    "BQE_AUTH_BASE_URL (hub up, hub doctor)": (
        lambda url: doctor.check_identity_servers({"BQE_AUTH_BASE_URL": url}),
        SettingInvalid,
    ),
    "BQE_AUTH_BASE_URL (sign-in and refresh)": (
        lambda url: wiring.auth_client(
            wiring.registry().get_provider("bqe"),
            {
                "BQE_AUTH_BASE_URL": url,
                "BQE_CLIENT_ID": "client",
                "BQE_CLIENT_SECRET": "client-secret-canary",
            },
        ),
        SettingInvalid,
    ),
    "the API's address in a token answer": (
        HostGuard(["*.example.test", "10.0.0.1", "0.0.0.0", "2001:db8::1"]).check,
        HostNotAllowed,
    ),
}


@pytest.mark.parametrize("url", PLAIN)
@pytest.mark.parametrize("place", PLACES)
def test_plain_http_is_for_loopback_only(place: str, url: str) -> None:
    use, error = PLACES[place]
    with pytest.raises(error) as refused:
        use(url)
    assert refused.value.hint


@pytest.mark.parametrize("url", PLAIN)
def test_plain_http_in_a_provider_file_is_refused_with_its_place(tmp_path: Path, url: str) -> None:
    raw = copy.deepcopy(ACME)
    raw["oauth"]["authBaseUrl"] = f"{url}/idp"
    with pytest.raises(MetadataInvalid, match="/oauth/authBaseUrl"):
        load_provider(written(tmp_path, raw))


def test_the_bridge_alone_does_not_start_at_a_plain_address(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("INTEGRATIONS_ENABLED", "false")
    monkeypatch.setenv("HUB_PUBLIC_URL", "http://hub.example.test")
    with pytest.raises(SettingInvalid, match="HUB_PUBLIC_URL"):
        standalone()


@pytest.mark.parametrize(
    "url", ["http://127.0.0.1:8080", "http://localhost", "https://hub.example.test/"]
)
def test_loopback_and_https_are_fine(url: str) -> None:
    assert doctor.check_public_url({"HUB_PUBLIC_URL": url}) == url.rstrip("/")
