from datetime import datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from integrations_hub.domain.stamps import floor_to, format_stamp, parse_stamp, parse_stamps

FORMAT = "%Y-%m-%dT%H:%M:%S"


@pytest.mark.parametrize(
    ("text", "stamp"),
    [
        ("2026-09-02T16:06:58", datetime(2026, 9, 2, 16, 6, 58)),
        ("2026-09-02T16:06:58.9", datetime(2026, 9, 2, 16, 6, 58, 900000)),
        ("2026-09-02T16:06:58.94", datetime(2026, 9, 2, 16, 6, 58, 940000)),
        ("2026-09-02T16:06:58.123", datetime(2026, 9, 2, 16, 6, 58, 123000)),
        ("2026-09-02T16:06:58.123456", datetime(2026, 9, 2, 16, 6, 58, 123456)),
        ("2026-09-02T16:06:58.1234567", datetime(2026, 9, 2, 16, 6, 58, 123456)),
        ("2026-09-02T16:06:58.9999999", datetime(2026, 9, 2, 16, 6, 58, 999999)),
        ("2026-09-02T16:06:58Z", datetime(2026, 9, 2, 16, 6, 58)),
        ("2026-09-02T16:06:58.94z", datetime(2026, 9, 2, 16, 6, 58, 940000)),
        ("2026-09-02T16:06:58+02:00", datetime(2026, 9, 2, 14, 6, 58)),
        ("2026-09-02T16:06:58.5-0730", datetime(2026, 9, 2, 23, 36, 58, 500000)),
        ("2026-09-02 16:06:58", datetime(2026, 9, 2, 16, 6, 58)),
        ("0001-01-01T00:00:00", datetime(1, 1, 1)),
        ("9999-12-31T23:59:59.9999999", datetime(9999, 12, 31, 23, 59, 59, 999999)),
        ("2024-02-29T00:00:00", datetime(2024, 2, 29)),
    ],
)
def test_stamp_is_read_as_naive_utc(text: str, stamp: datetime) -> None:
    assert parse_stamp(text) == stamp


@pytest.mark.parametrize(
    "text",
    [
        "",
        "now",
        "2026-09-02",
        "2026-09-02T16:06",
        "2026-09-02T16:06:58.",
        "2026-09-02T16:06:58,5",
        "2026-13-02T16:06:58",
        "2026-02-29T16:06:58",
        "2026-09-02T24:06:58",
        "2026-09-02T16:06:60",
        "2026-W36-3T16:06:58",
        "2026-09-02T16:06+01",
        "20260902T160658",
        "2026-09-02T16:06:58.123+01",
        "2026-09-02T16:06:58+25:00",
        "2026-09-02T16:06:58+01:60",
        "0001-01-01T00:00:00+01:00",
        "9999-12-31T23:59:59-01:00",
        " 2026-09-02T16:06:58",
        "2026-09-02T16:06:58\n",
        "\uff12\uff10\uff12\uff16-09-02T16:06:58",
        "2026-09-02T16:06:58.\uff11\uff12",
        "1788365164",
    ],
)
def test_what_is_no_stamp_is_none(text: str) -> None:
    assert parse_stamp(text) is None


@given(st.datetimes())
def test_what_datetime_writes_is_read_back(stamp: datetime) -> None:
    assert parse_stamp(stamp.isoformat()) == stamp


@given(
    st.lists(
        st.one_of(
            st.none(),
            st.datetimes().map(datetime.isoformat),
            st.datetimes().map(lambda at: at.isoformat(timespec="milliseconds")),
            st.sampled_from(
                ["2026-13-02T16:06:58", "2026-02-29T16:06:58", "2026-09-02T16:06:58Z", ""]
            ),
        )
    )
)
def test_a_page_of_stamps_reads_as_each_alone(texts: list[str | None]) -> None:
    assert parse_stamps(texts) == [None if one is None else parse_stamp(one) for one in texts]


@given(
    st.text(max_size=30)
    | st.from_regex(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d*)?(Z|[+-]\d\d:\d\d)?", fullmatch=True)
)
def test_no_text_raises(text: str) -> None:
    stamp = parse_stamp(text)
    assert stamp is None or stamp.tzinfo is None


@given(st.datetimes(), st.sampled_from([1, 2, 60, 300, 3600, 86400]))
def test_floor_is_the_last_step_at_or_before(stamp: datetime, seconds: int) -> None:
    floored = floor_to(stamp, seconds)
    assert floored <= stamp < floored + timedelta(seconds=seconds) if floored.year < 9999 else True
    assert (floored.hour * 3600 + floored.minute * 60 + floored.second) % seconds == 0
    assert floor_to(floored, seconds) == floored


def test_format_drops_fraction_and_zone() -> None:
    assert format_stamp(datetime(2026, 9, 2, 16, 6, 58, 999999), FORMAT) == "2026-09-02T16:06:58"
    zone = timezone(timedelta(hours=2))
    assert (
        format_stamp(datetime(2026, 9, 2, 16, 6, 58, tzinfo=zone), FORMAT) == "2026-09-02T14:06:58"
    )


def test_format_writes_early_years_with_four_digits() -> None:
    assert format_stamp(datetime.min, FORMAT) == "0001-01-01T00:00:00"


@given(st.datetimes())
def test_formatted_stamp_never_lies_after_the_stamp(stamp: datetime) -> None:
    written = parse_stamp(format_stamp(stamp, FORMAT))
    assert written == floor_to(stamp, 1)
