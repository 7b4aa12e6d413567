"""A portfolio of any size for benchmarks: 42 fields, about 1.3 kB a record, all loadable."""

from __future__ import annotations

import random
from collections.abc import Iterator
from datetime import datetime, timedelta

from providers.bqe.sandbox.clock import stamp
from providers.bqe.sandbox.people import FIRST_DAY, PLACES, client_name, employee_name, fixed_id
from providers.bqe.sandbox.portfolio import KINDS, PHASES
from providers.bqe.sandbox.schema import ZERO_GUID
from providers.bqe.sandbox.table import Record, rowversion

LAST_DAY = datetime(2026, 6, 1)
FIELDS = """displayName name code phaseName type level contractType status hasChild objectState
parentId rootProjectId clientId client managerId manager principalId principal contractAmount
fixedFee percentComplete interestRate startDate dueDate completedOn currencyName purchaseOrderNumber
invoiceTemplateId invoiceTemplate messageOnInvoice memo address rules customFields assignedGroups id
createdOn createdById lastUpdated lastUpdatedById version token""".split()  # noqa: SIM905 - a table
TEMPLATE: Record = {
    **dict.fromkeys(FIELDS),
    "type": 0,
    "level": 0,
    "hasChild": False,
    "objectState": 1,
    "fixedFee": 0.0,
    "interestRate": 0.0,
    "currencyName": "USD",
    "invoiceTemplateId": ZERO_GUID,
    "messageOnInvoice": "<p>Thank you for working with us.</p>",
    "memo": "Invented record for measuring; nothing in it is real.",
    "createdById": ZERO_GUID,
    "lastUpdatedById": ZERO_GUID,
    "token": 0,
}


def projects(company: str, seed: int, count: int) -> Iterator[Record]:
    """`count` rows, every fifth a child of a root made before it; stamps at random distances.

    42 keys and no more: the next one doubles the memory of a Python dict.
    """
    chooser = random.Random(f"{seed}/bulk/{company}")  # noqa: S311 - invented data, not a secret
    people = [(fixed_id(company, "employee", n), employee_name(n)) for n in range(25)]
    clients = [(fixed_id(company, "client", n), client_name(n)) for n in range(40)]
    names = [f"{place} {kind}" for place in PLACES for kind in KINDS]
    days = [stamp(FIRST_DAY + timedelta(days=n)) for n in range(1000)]
    step = (LAST_DAY - FIRST_DAY) / max(count, 1)
    turn = list(range(count))
    chooser.shuffle(turn)
    roots: list[Record] = []
    for n in range(count):
        parent = roots[chooser.randrange(len(roots))] if n % 5 == 4 else None
        row = _row(n, chooser, names, days, parent)
        row["lastUpdated"] = stamp(FIRST_DAY + step * turn[n] + timedelta(milliseconds=n % 1000))
        row["managerId"], row["manager"] = people[n % 25]
        row["principalId"], row["principal"] = people[(n // 25) % 25]
        row["clientId"], row["client"] = clients[n % 40]
        if parent is None:
            roots.append(row)
        yield row


def _row(
    n: int, chooser: random.Random, names: list[str], days: list[str], parent: Record | None
) -> Record:
    bits = f"{chooser.getrandbits(128):032x}"
    code = f"{24 + n % 3}-{n:07d}"
    name = f"{names[n % len(names)]} {n}"
    day = chooser.randrange(500)
    row = TEMPLATE.copy()
    row.update(
        id=f"{bits[:8]}-{bits[8:12]}-4{bits[13:16]}-a{bits[17:20]}-{bits[20:]}",
        displayName=f"{code} | {name}",
        name=name,
        code=code,
        contractType=n % 12,
        status=n % 5,
        contractAmount=n * 7.25 + 1000,
        percentComplete=float(n % 101),
        startDate=days[day],
        dueDate=days[day + 30 + n % 400],
        purchaseOrderNumber=f"PO-{n:07d}",
        createdOn=days[day],
        version=rowversion(n),
    )
    if parent:
        row.update(type=1, level=1, parentId=parent["id"], rootProjectId=parent["id"])
        row["phaseName"] = PHASES[n % 5]
    return row
