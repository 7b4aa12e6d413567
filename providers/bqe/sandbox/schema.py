"""What each resource carries: its fields in answer order, and which may be filtered or sorted.

A data table. The project fields and their order were seen in a live record (bqe.md 3.1); which
fields are filterable and sortable is a guess except where the sandbox README says otherwise.
"""

from __future__ import annotations

from dataclasses import dataclass, field

ZERO_GUID = "00000000-0000-0000-0000-000000000000"

_COMMON = """id:uuid createdOn:datetime createdById:uuid lastUpdated:datetime lastUpdatedById:uuid
version:text objectState:number token:number"""

_PROJECT = """displayName:text name:text code:text phaseName:text phaseDescription:text
phaseOrder:number type:number level:number contractType:number status:number hasChild:bool
parentId:uuid parent:text rootProjectId:uuid rootProject:text clientId:uuid client:text
managerId:uuid manager:text principalId:uuid principal:text originatorId:uuid originator:text
billingContactId:uuid billingContact:text contractAmount:number serviceContract:number
expenseContract:number fixedFee:number fixedFeePercentage:number percentComplete:number
interestRate:number mainServiceTax:number mainExpenseTax:number retainagePercent:number
retainageLimit:number recurringAmount:number recurringFrequency:number graceDays:number
startDate:datetime dueDate:datetime completedOn:datetime feeScheduleId:uuid feeScheduleName:text
termId:uuid term:text invoiceTemplateId:uuid invoiceTemplate:text manualInvoiceTemplateId:uuid
manualInvoiceTemplate:text jointInvoiceTemplateId:uuid jointInvoiceTemplate:text
sendInvoiceToContact:bool hasCustomInvoiceNumber:bool invoicePrefix:text invoiceNumber:text
invoiceSuffix:text messageOnInvoice:text purchaseOrderNumber:text currencyMultiplierId:uuid
currencyName:text incomeAccountId:uuid incomeAccount:text expenseAccountId:uuid expenseAccount:text
receivableAccountId:uuid receivableAccount:text liabilityAccountId:uuid liabilityAccount:text
classId:uuid class:text defaultGroupId:uuid defaultGroup:text budgetId:uuid budgetName:text
estimateId:uuid estimateName:text memo:text address:nested rules:nested customFields:nested
assignedGroups:nested"""

_CLIENT = """name:text company:text firstName:text lastName:text middleInitial:text status:number
type:number managerId:uuid manager:text clientSince:datetime memo:text mainServiceTax:number
mainExpenseTax:number termId:uuid term:text feeScheduleId:uuid feeScheduleName:text currencyId:uuid
currencyName:text messageOnInvoice:text taxId:text address:nested customFields:nested
assignedGroups:nested"""

_EMPLOYEE = """displayName:text firstName:text lastName:text middleInitial:text title:text
department:text managerId:uuid manager:text status:number company:text role:text dateHired:datetime
dateReleased:datetime billRate:number costRate:number gender:number ssn:text salary:number
salaryPayPeriod:number bankRouting:text bankAccount:text address:nested customFields:nested
assignedGroups:nested"""

_ACTIVITY = """code:text name:text description:text billable:bool isActive:bool sub:text
costRate:number billRate:number overTimeBillRate:number minimumHours:number memo:text
customFields:nested"""

_TIMEENTRY = """date:datetime projectId:uuid project:text resourceId:uuid resource:text
activityId:uuid activity:text description:text actualHours:number clientHours:number billable:bool
billStatus:number billRate:number costRate:number client:text extra:bool overtime:bool memo:text
customFields:nested"""

_COMPANY = """name:text email:text phone:text currencyName:text address:nested"""


@dataclass(frozen=True)
class Schema:
    """`kinds` maps each field to text, number, bool, uuid, datetime or nested, in answer order."""

    entity: str
    kinds: dict[str, str]
    filterable: frozenset[str]
    sortable: frozenset[str]
    refused: frozenset[str] = frozenset()
    names: dict[str, str] = field(default_factory=dict)

    def canonical(self, name: str) -> str | None:
        """The field as spelled in answers, whatever the caller's case; None when unknown."""
        return self.names.get(name.lower())

    @property
    def nested(self) -> frozenset[str]:
        """Fields that a list fills only when `expand` names them."""
        return frozenset(name for name, kind in self.kinds.items() if kind == "nested")


def _schema(
    entity: str, own: str, filterable: str, sortable: str = "", refused: str = ""
) -> Schema:
    words = (word.partition(":") for word in f"{own} {_COMMON}".split())
    kinds = {name: kind for name, _, kind in words}
    usual = "id createdOn lastUpdated"
    return Schema(
        entity=entity,
        kinds=kinds,
        filterable=frozenset(f"{usual} {filterable}".split()),
        sortable=frozenset(f"{usual} {filterable} {sortable}".split()),
        refused=frozenset(refused.split()),
        names={name.lower(): name for name in kinds},
    )


SCHEMAS: dict[str, Schema] = {
    schema.entity: schema
    for schema in (
        _schema(
            "project",
            _PROJECT,
            "code name clientId managerId status type contractType parentId rootProjectId "
            "startDate dueDate",
            "displayName client manager level contractAmount",
            refused="hasChild",
        ),
        _schema("client", _CLIENT, "name status type managerId"),
        _schema("employee", _EMPLOYEE, "displayName firstName lastName status department"),
        _schema("activity", _ACTIVITY, "code description", "name"),
        _schema(
            "timeentry",
            _TIMEENTRY,
            "date projectId resourceId activityId billable billStatus client",
            "activity",
        ),
        _schema("company", _COMPANY, "name"),
        Schema(
            entity="deletedhistory",
            kinds={
                "id": "uuid",
                "entity": "text",
                "entityId": "uuid",
                "deletedOn": "datetime",
                "deletedById": "uuid",
            },
            filterable=frozenset(("id", "entity", "entityId", "deletedOn")),
            sortable=frozenset(("id", "deletedOn")),
            names={
                name.lower(): name
                for name in ("id", "entity", "entityId", "deletedOn", "deletedById")
            },
        ),
    )
}
