"""The BQE provider package against its sandbox: the two agree on every question it asks."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import datetime
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest

import providers.bqe
from integrations_hub.catalog.loader import load_provider
from integrations_hub.catalog.metadata import Provider
from integrations_hub.domain.listing import ListQuery
from integrations_hub.errors import GrantRejected
from integrations_hub.ports.outside import HttpResponse
from providers.bqe import auth
from providers.bqe.objects import projects
from providers.bqe.sandbox.portfolio import is_root
from tests.kit.sandbox import ConsentForm
from tests.kit.sandbox_app import CALLBACK, CHALLENGE, VERIFIER, SandboxApp

LONG_AGO = datetime(2020, 1, 1)


class Wire:
    """HttpClient and FormPoster over the in-process sandbox."""

    def __init__(self, app: SandboxApp) -> None:
        self.app = app
        self.requests = 0

    def get(self, path: str, params: Mapping[str, str]) -> HttpResponse:
        self.requests += 1
        return _plain(self.app.api(path, **params))

    def post_form(self, url: str, form: Mapping[str, str]) -> HttpResponse:
        return _plain(self.app.call("POST", urlsplit(url).path, data=dict(form)))


def _plain(answer: Any) -> HttpResponse:
    return HttpResponse(answer.status_code, dict(answer.headers), answer.content)


@pytest.fixture(scope="module")
def bqe() -> Provider:
    return load_provider(Path(str(providers.bqe.__path__[0])) / "provider.json")


def test_connects_refreshes_once_and_learns_the_company(bqe: Provider) -> None:
    app = SandboxApp(public_url="http://127.0.0.1:8900")
    client = auth.build(
        bqe,
        poster=Wire(app),
        client_id="hub-sandbox-web",
        client_secret="hub-sandbox-secret",
        environ={
            "BQE_AUTH_BASE_URL": "http://127.0.0.1:8900/idp",
            "BQE_ALLOWED_HOSTS": "127.0.0.1",
        },
    )
    url = client.authorize_url(redirect_uri=CALLBACK, state="s", code_challenge=CHALLENGE)
    parts = urlsplit(url)
    form = ConsentForm(app.call("GET", f"{parts.path}?{parts.query}").text)
    data = {**form.hidden, "company": "B", "decision": "allow"}
    back = app.call("POST", "/idp/connect/authorize", data=data).headers["location"]
    code = parse_qs(urlsplit(back).query)["code"][0]
    grant = client.exchange(code=code, redirect_uri=CALLBACK, code_verifier=VERIFIER)
    assert grant.api_base_url == "http://127.0.0.1:8900/api"
    assert grant.company_id == app.api("/company", grant.access_token).json()[0]["id"]
    assert client.refresh(grant.refresh_token).refresh_token != grant.refresh_token
    with pytest.raises(GrantRejected):
        client.refresh(grant.refresh_token)


@pytest.mark.parametrize("parent_only", [False, True])
@pytest.mark.parametrize("by_stamp", [False, True])
def test_a_listing_reads_every_record_once(
    bqe: Provider, by_stamp: bool, parent_only: bool
) -> None:
    app = SandboxApp()
    obj = bqe.objects["projects"]
    client = projects.build(bqe, obj, Wire(app))
    fields = tuple(name for name in obj.fields if name not in obj.deny_fields)
    query = ListQuery(fields, by_stamp, LONG_AGO, parent_only=parent_only)
    rows: list[dict[str, Any]] = []
    for number in range(1, 20):
        page = json.loads(client.page(query, number, 500).body)
        rows += page
        if not page:
            break
    wanted = app.control("/truth")["roots"] if parent_only else 1020
    assert len({row["id"] for row in rows}) == len(rows) == client.count(query) == wanted
    assert sum(map(is_root, rows)) == app.control("/truth")["roots"]


def test_the_probe_of_the_parent_filter_counts_what_the_sandbox_shows(bqe: Provider) -> None:
    app = SandboxApp()
    obj = bqe.objects["projects"]
    client = projects.build(bqe, obj, Wire(app))
    assert client.probe_parent_only().filtered_count == 120
    app.control("/switch", {"null_guid_hidden": True})
    assert client.probe_parent_only().filtered_count == 119
