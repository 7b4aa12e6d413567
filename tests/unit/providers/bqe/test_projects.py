"""The list client: how questions are asked and answers read."""

from dataclasses import replace
from datetime import datetime

import pytest

from integrations_hub.catalog.build import object_of
from integrations_hub.domain.listing import FilterProbe, ListQuery
from integrations_hub.errors import (
    PageUnreadable,
    PermissionMissing,
    ProviderContractError,
    RequestRejected,
)
from integrations_hub.ports.outside import HttpResponse
from providers.bqe.objects.projects import build
from tests.kit.acme import WIDGETS, acme
from tests.kit.provider_json import ACME


class FakeHttp:
    """Answers in turn; an exception is raised. The last one repeats."""

    def __init__(self, *answers) -> None:
        self.answers = list(answers)
        self.asked: list[tuple[str, dict]] = []
        self.requests = 0

    def get(self, path, params, *, absent_ok=False):
        self.asked.append((path, dict(params)))
        answer = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        if isinstance(answer, Exception):
            raise answer
        return answer


def ok(body: bytes, **headers: str) -> HttpResponse:
    return HttpResponse(200, headers, body)


NOTHING = HttpResponse(204, {}, b"")
ALL = ListQuery(fields=("id", "name"), by_stamp=False)


def test_a_page_of_the_full_listing_is_ordered_by_what_never_changes():
    http = FakeHttp(ok(b"[]"))
    build(acme(), WIDGETS, http).page(ALL, 3, 500)
    assert http.asked == [
        ("/widget", {"fields": "id,name", "orderBy": "createdOn asc", "page": "3,500"})
    ]


def test_an_incremental_page_asks_by_stamp_without_zone():
    http = FakeHttp(ok(b"[]"))
    query = ListQuery(
        ("id",),
        by_stamp=True,
        since=datetime(2026, 3, 1, 8, 30, 5, 999_999),
        until=datetime(2026, 3, 2),
        parent_only=True,
    )
    build(acme(), WIDGETS, http).page(query, 1, 10)
    assert http.asked[0][1] == {
        "fields": "id",
        "orderBy": "lastUpdated asc",
        "page": "1,10",
        "where": "lastUpdated >= '2026-03-01T08:30:05' AND lastUpdated < '2026-03-02T00:00:00' AND parentId is null",
    }


def test_a_page_comes_as_bytes_with_the_providers_clock():
    http = FakeHttp(ok(b'\xef\xbb\xbf [{"id": 1}]', date="Sun, 01 Mar 2026 12:00:00 GMT"))
    page = build(acme(), WIDGETS, http).page(ALL, 1, 10)
    assert page.body == b' [{"id": 1}]'
    assert page.provider_now == datetime(2026, 3, 1, 12)


@pytest.mark.parametrize("date", ["yesterday", ""])
def test_an_unreadable_clock_is_none(date):
    assert (
        build(acme(), WIDGETS, FakeHttp(ok(b"[]", date=date))).page(ALL, 1, 10).provider_now is None
    )


def test_no_content_is_an_empty_page_and_a_count_of_zero():
    client = build(acme(), WIDGETS, FakeHttp(NOTHING))
    assert client.page(ALL, 9, 10).body == b"[]"
    assert client.count(ALL) == 0


def test_a_page_that_is_no_array_is_refused():
    with pytest.raises(PageUnreadable, match="page 2"):
        build(acme(), WIDGETS, FakeHttp(ok(b'{"items": []}'))).page(ALL, 2, 10)


def test_denied_fields_are_never_asked_for():
    http = FakeHttp(ok(b"[]"))
    with pytest.raises(RequestRejected, match="secretNote"):
        build(acme(), WIDGETS, http).page(ListQuery(("id", "secretNote"), by_stamp=False), 1, 10)
    assert http.asked == []


def test_a_count_is_asked_without_order_and_page():
    http = FakeHttp(ok(b'[{"count": 12}]'))
    assert build(acme(), WIDGETS, http).count(replace(ALL, parent_only=True)) == 12
    assert http.asked == [("/widget", {"fields": "count(*)", "where": "parentId is null"})]


@pytest.mark.parametrize(
    "body",
    [
        b"12",
        b"[]",
        b'[{"count": "12"}]',
        b'[{"count": true}]',
        b'[{"count": -1}]',
        b"<html>",
        b'[{"n": 1}]',
    ],
)
def test_another_shape_of_a_count_breaks_the_contract(body):
    with pytest.raises(ProviderContractError):
        build(acme(), WIDGETS, FakeHttp(ok(body))).count(ALL)


def test_a_probe_tells_how_many_the_filter_finds():
    probe = build(acme(), WIDGETS, FakeHttp(ok(b'[{"count": 3}]'))).probe_parent_only()
    assert probe == FilterProbe(True, "The filter finds 3 records.", 3)


def test_a_refused_filter_is_not_accepted_and_says_why():
    http = FakeHttp(RequestRejected("Acme answered /widget with 400: Invalid field"))
    assert build(acme(), WIDGETS, http).probe_parent_only() == FilterProbe(
        False, "Acme answered /widget with 400: Invalid field"
    )


def test_trouble_that_passes_is_no_verdict_on_the_filter():
    with pytest.raises(ProviderContractError):
        build(acme(), WIDGETS, FakeHttp(ProviderContractError("odd"))).probe_parent_only()


def test_without_a_declared_filter_nothing_is_asked():
    http = FakeHttp(NOTHING)
    assert not build(acme(), replace(WIDGETS, parent_only=None), http).probe_parent_only().accepted
    assert http.asked == []


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        (ok(b'{"id": "a b", "parent": null}'), "present"),
        (ok(b'[{"id": "a b", "parent": "0"}]'), "present"),
        (ok(b'{"id": "a b", "parent": "x"}'), "child"),
        (ok(b'{"id": "another", "parent": null}'), "unproven"),
        (ok(b"[]"), "unproven"),
        (ok(b"no json"), "unproven"),
        (HttpResponse(204, {}, b""), "unproven"),
        (HttpResponse(404, {}, b"{}"), "gone"),
        (HttpResponse(410, {}, b""), "gone"),
        (PermissionMissing("withheld"), "forbidden"),
    ],
)
def test_only_404_and_410_say_that_a_record_is_gone(answer, said):
    http = FakeHttp(answer)
    widgets = object_of("widgets", ACME["objects"]["widgets"])
    assert build(acme(), widgets, http).presence("a b") == said
    assert http.asked[0][0].endswith("/a%20b")
