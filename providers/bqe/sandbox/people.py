"""Invented clients, employees, activities and time entries around the portfolio."""

from __future__ import annotations

import random
import uuid
from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta
from typing import Any

from providers.bqe.sandbox.clock import stamp
from providers.bqe.sandbox.schema import SCHEMAS
from providers.bqe.sandbox.table import Record, rowversion

FIRST_DAY = datetime(2024, 1, 2)
NAMESPACE = uuid.UUID("5a4d0b8e-0000-4000-8000-000000000b9e")
PLACES = (
    "Harbour", "Juniper", "Meadow", "Granite", "Lantern", "Willow", "Summit", "Orchard", "Copper",
    "Saffron", "Heron", "Quarry", "Linden", "Beacon", "Mosaic", "Cedar", "Pavilion", "Tidal",
)  # fmt: skip
FIRST_NAMES = ("Ada", "Bruno", "Chidi", "Dana", "Emre", "Freya", "Goran", "Hana", "Ines", "Jonas")
LAST_NAMES = ("Example", "Sample", "Placeholder", "Invented", "Fictional")
TITLES = ("Architect", "Engineer", "Planner", "Surveyor", "Designer")


def fixed_id(*words: object) -> str:
    """The same uuid for the same words, in every process."""
    return str(uuid.uuid5(NAMESPACE, "/".join(map(str, words))))


def blank(entity: str, record_id: str, counter: int, moment: datetime) -> Record:
    """A row with every field of its resource, null but for the ones that all resources share."""
    row: Record = dict.fromkeys(SCHEMAS[entity].kinds)
    writer = fixed_id("writer", counter % 7)
    row.update(
        id=record_id,
        createdOn=stamp(moment),
        createdById=writer,
        lastUpdated=stamp(moment),
        lastUpdatedById=writer,
        version=rowversion(counter),
        objectState=1,
        token=0,
    )
    return row


def clients(company: str, count: int) -> Iterator[Record]:
    """`count` clients; ids by `fixed_id(company, "client", n)`."""
    for n in range(count):
        moment = FIRST_DAY + timedelta(days=n, minutes=7 * n)
        row = blank("client", fixed_id(company, "client", n), n, moment)
        name = client_name(n)
        row.update(name=name, company=name, status=0, type=n % 3, clientSince=stamp(FIRST_DAY))
        row.update(manager=employee_name(n), managerId=fixed_id(company, "employee", n % 25))
        row["mainServiceTax"] = row["mainExpenseTax"] = 0.0
        yield row


def client_name(n: int) -> str:
    """Not unique on purpose: the last two are equal."""
    n = min(n, 38)
    return f"{PLACES[n % len(PLACES)]} {('Estates', 'Trust', 'Council')[n // len(PLACES)]}"


def employees(company: str, count: int) -> Iterator[Record]:
    """`count` employees with obviously fake private data, which must never reach the Hub."""
    for n in range(count):
        row = blank("employee", fixed_id(company, "employee", n), n, FIRST_DAY + timedelta(days=n))
        first, last = employee_name(n).split(" ", 1)
        row.update(displayName=f"{first} {last}", firstName=first, lastName=last, status=0)
        row.update(title=TITLES[n % 5], department="Studio", dateHired=stamp(FIRST_DAY))
        row.update(
            ssn=f"000-00-{n:04d}",
            salary=111111.0 + n,
            salaryPayPeriod=1,
            bankRouting="000000000",
            bankAccount=f"FAKE-ACCOUNT-{n:04d}",
            gender=0,
            billRate=100.0,
            costRate=50.0,
        )
        yield row


def employee_name(n: int) -> str:
    """First and last name of employee number `n` (of 25)."""
    n %= 25
    return f"{FIRST_NAMES[n % 10]} {LAST_NAMES[n // 5]}"


def activities(company: str) -> Iterator[Record]:
    """Six activities."""
    for n, name in enumerate(("Design", "Drafting", "Survey", "Site visit", "Review", "Admin")):
        row = blank("activity", fixed_id(company, "activity", n), n, FIRST_DAY)
        row.update(code=f"{name[:3].upper()}:", name=name, description=f"{name} work")
        row.update(billable=n < 5, isActive=True, costRate=50.0, billRate=100.0, minimumHours=0.0)
        yield row


def time_entries(company: str, projects: Sequence[Record], count: int) -> Iterator[Record]:
    """`count` entries on child projects."""
    chooser = random.Random(f"hours/{company}")  # noqa: S311 - invented data, not a secret
    phases = [row for row in projects if row.get("rootProjectId")]
    if not phases:
        return
    for n in range(count):
        project, person = chooser.choice(phases), n % 25
        row = blank("timeentry", fixed_id(company, "hours", n), n, FIRST_DAY + timedelta(hours=n))
        values: dict[str, Any] = {
            "date": stamp(FIRST_DAY + timedelta(days=n % 600)),
            "projectId": project["id"],
            "project": project["displayName"],
            "resourceId": fixed_id(company, "employee", person),
            "resource": employee_name(person),
            "activityId": fixed_id(company, "activity", n % 6),
            "activity": "DES:Design",
            "description": f"Invented work {n}",
            "actualHours": chooser.randint(1, 32) / 4,
            "billable": True,
            "billStatus": 0,
            "billRate": 100.0,
            "costRate": 50.0,
            "client": project["client"],
            "extra": False,
            "overtime": False,
        }
        row.update(values)
        yield row


def companies(key: str, name: str) -> Iterator[Record]:
    """The company's own row."""
    row = blank("company", fixed_id("company", key), 0, FIRST_DAY)
    row.update(
        name=name, email=f"studio@{name.split(maxsplit=1)[0].lower()}.invalid", currencyName="USD"
    )
    yield row


def deletions(company: str, count: int) -> Iterator[Record]:
    """Projects that were deleted before the portfolio begins."""
    for n in range(count):
        yield deletion(fixed_id(company, "gone", n), FIRST_DAY + timedelta(days=n))


def deletion(entity_id: str, moment: datetime, entity: str = "Project") -> Record:
    """One row of deletedhistory; its shape is a guess."""
    return {
        "id": fixed_id("deletion", entity_id, stamp(moment)),
        "entity": entity,
        "entityId": entity_id,
        "deletedOn": stamp(moment),
        "deletedById": fixed_id("writer", 0),
    }
