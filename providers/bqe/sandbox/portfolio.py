"""The seeded projects: an ordinary firm's list with every oddity a mapping must survive."""

from __future__ import annotations

import random
from collections.abc import Iterable, Iterator
from datetime import date, timedelta
from typing import Any

from providers.bqe.sandbox.clock import stamp
from providers.bqe.sandbox.people import (
    FIRST_DAY,
    PLACES,
    blank,
    client_name,
    employee_name,
    fixed_id,
)
from providers.bqe.sandbox.predicates import Row
from providers.bqe.sandbox.schema import ZERO_GUID
from providers.bqe.sandbox.table import Record

ROOTS = {"A": 120, "B": 6}
CHILDREN = {"A": 900, "B": 14}
KINDS = ("Library", "School", "Clinic", "Bridge House", "Market Hall", "Apartments", "Boathouse")
PHASES = ("Concept", "Schematic Design", "Design Development", "Permits", "Construction")
NOWHERE = fixed_id("a parent that nobody may see")

# Root number -> fields that differ from the ordinary. Numbers 110..112 must be rejected.
ODD_ROOTS: dict[int, dict[str, Any]] = {
    3: {"code": "24 017 A"},
    4: {"code": "24/018/B-2"},
    5: {"code": "O'Brien 7", "name": "O'Brien's \"Corner\" House"},
    6: {"code": "🏗️-24", "name": "Rooftop garden 🌿"},
    7: {"code": "L" * 65, "name": "A code of sixty-five characters"},
    8: {"code": "בית-12", "name": "בית הספר החדש"},
    9: {"code": "00123", "name": "Leading zeros"},
    10: {"name": "Twin Towers Refit"},
    11: {"name": "Twin Towers Refit"},
    12: {"code": "MixedCase-1"},
    13: {"code": "MIXEDCASE-1"},
    14: {"parentId": ZERO_GUID, "name": "Root under the zero GUID"},
    15: {"status": 9, "name": "Status nobody documented"},
    16: {"messageOnInvoice": "<p>Thank you &amp; <b>see you</b></p>"},
    17: {"memo": "first line\nsecond line\ttabbed"},
    18: {"startDate": "2025-06-01T00:00:00", "dueDate": "2025-03-01T00:00:00"},
    19: {"dueDate": None},
    20: {"completedOn": "2025-02-03T00:00:00", "status": 0},
    21: {"contractAmount": 0.0},
    22: {"contractAmount": -1250.5},
    23: {"contractAmount": 1_000_000_000.01},
    24: {"type": 1, "name": "Standard project with children"},
    25: {"clientId": ZERO_GUID, "client": None},
    26: {"manager": None, "managerId": None, "startDate": None, "dueDate": None},
    27: {"name": "  spaces around  "},
    28: {"name": "Null", "code": "null"},
    29: {"name": "=SUM(1;2)", "code": "=1+1"},
    30: {"name": "N" * 180, "memo": "m" * 4000},
    31: {"lastUpdated": "2025-01-05T09:30:58.94"},
    32: {"lastUpdated": "2025-01-05T09:30:58"},
    33: {"name": "Combining é and ﬁ ligature", "code": "é-33"},
    110: {"name": None, "displayName": "no name"},
    111: {"name": "NUL \x00 inside"},
    112: {"startDate": "2026-02-31T00:00:00"},
}
ODD_CHILDREN: dict[int, dict[str, Any]] = {
    0: {"parentId": NOWHERE, "rootProjectId": NOWHERE, "parent": None, "rootProject": None},
    1: {"name": None},
    2: {"startDate": "2026-02-31T00:00:00"},
    3: {"name": "child \x00 with a NUL"},
    4: {"status": 9},
}


def projects(company: str, seed: int) -> Iterator[Record]:
    """The company's projects in insertion order: each root, its children of 3 levels, the next.

    The same `seed` gives the same rows and ids in every process.
    """
    chooser = random.Random(f"{seed}/{company}")  # noqa: S311 - invented data, not a secret
    roots, children = ROOTS.get(company, 0), CHILDREN.get(company, 0)
    made = 0
    for number in range(roots):
        root = _root(company, seed, number, chooser)
        yield root
        wanted = (number + 1) * children // roots - number * children // roots
        family = [root]
        for _ in range(wanted):
            parent = chooser.choice([row for row in family if row["level"] < 3])
            child_id = fixed_id(company, seed, "child", made)
            child = _project(company, child_id, 500 + made, chooser)
            child.update(_as_child(made, parent, root))
            family.append(child)
            yield {**child, **(ODD_CHILDREN.get(made, {}) if company == "A" else {})}
            made += 1


def truth(rows: Iterable[Row]) -> dict[str, int]:
    """What a right sync of `rows` ends with: roots, children, rejected and loadable roots."""
    roots = children = rejected = 0
    for row in rows:
        if not is_root(row):
            children += 1
            continue
        roots += 1
        rejected += must_be_rejected(row)
    return {
        "roots": roots,
        "children": children,
        "rejected": rejected,
        "loadable": roots - rejected,
    }


def is_root(row: Row) -> bool:
    """The parent is null, missing, empty or the zero GUID."""
    return row.get("parentId") in (None, "", ZERO_GUID)


def must_be_rejected(row: Row) -> bool:
    """No name, a NUL in a text that is shown, or a start or due date that no calendar has."""
    if not row.get("name"):
        return True
    shown = (str(row.get(field)) for field in ("name", "code", "client", "manager", "memo"))
    days = (row.get(field) for field in ("startDate", "dueDate"))
    return any("\x00" in text for text in shown) or not all(map(_possible, days))


def _possible(day: object) -> bool:
    if not day:
        return True
    try:
        date.fromisoformat(str(day)[:10])
    except ValueError:
        return False
    return True


def _root(company: str, seed: int, number: int, chooser: random.Random) -> Record:
    row = _project(company, fixed_id(company, seed, "root", number), number, chooser)
    row["code"] = f"{company}{24 + number % 3}-{number:03d}"
    row["name"] = f"{chooser.choice(PLACES)} {chooser.choice(KINDS)} {number + 1}"
    row.update(hasChild=True, level=0)
    row.update(ODD_ROOTS.get(number, {}) if company == "A" else {})
    if row["displayName"] is None:
        row["displayName"] = f"{row['code']} | {row['name']}"
    return row


def _as_child(number: int, parent: Record, root: Record) -> Record:
    phase = PHASES[number % len(PHASES)]
    code, name = f"{root['code'][:40]}:{number:04d}", f"{phase} {number + 1}"
    return {
        "displayName": f"{code} | {name}",
        "code": code,
        "name": name,
        "phaseName": phase,
        "phaseDescription": f"{phase} phase",
        "phaseOrder": number % len(PHASES),
        "level": parent["level"] + 1,
        "hasChild": False,
        "type": 1,
        "parentId": parent["id"],
        "parent": parent["displayName"],
        "rootProjectId": root["id"],
        "rootProject": root["displayName"],
        "clientId": root["clientId"],
        "client": root["client"],
    }


def _project(company: str, record_id: str, counter: int, chooser: random.Random) -> Record:
    created = FIRST_DAY + timedelta(minutes=chooser.randrange(600 * 24 * 60), milliseconds=counter)
    row = blank("project", record_id, counter, created)
    changed = created + timedelta(minutes=chooser.randrange(200 * 24 * 60), milliseconds=37)
    started = FIRST_DAY + timedelta(days=chooser.randrange(500))
    client, manager = chooser.randrange(40), chooser.randrange(25)
    row.update(
        lastUpdated=stamp(changed),
        type=0,
        contractType=counter % 12,
        status=chooser.choice((0, 0, 0, 0, 1, 2, 3, 4)),
        clientId=fixed_id(company, "client", client),
        client=client_name(client),
        managerId=fixed_id(company, "employee", manager),
        manager=employee_name(manager),
        contractAmount=chooser.randrange(5_000, 900_000) + 0.5,
        percentComplete=float(chooser.randrange(0, 101, 5)),
        startDate=stamp(started),
        dueDate=stamp(started + timedelta(days=chooser.randrange(30, 900))),
        messageOnInvoice="",
        currencyName="USD",
        graceDays=30,
        sendInvoiceToContact=False,
        hasCustomInvoiceNumber=False,
    )
    for field in ("invoiceTemplateId", "manualInvoiceTemplateId", "jointInvoiceTemplateId"):
        row[field] = ZERO_GUID
    for field in (
        "fixedFee", "fixedFeePercentage", "interestRate", "mainServiceTax", "mainExpenseTax",
        "retainagePercent", "retainageLimit", "recurringAmount",
    ):  # fmt: skip
        row[field] = 0.0
    return row
