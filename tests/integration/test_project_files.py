"""`hub projects`: what goes out comes back, nothing is imported by halves, no file takes the machine down."""

from __future__ import annotations

import io
import json
import zipfile
from pathlib import Path
from typing import Any

import openpyxl
import pytest
from typer.testing import CliRunner

from integrations_hub.admin.projects import Projects
from integrations_hub.cli.main import app
from integrations_hub.errors import FileRefused, NotFound
from integrations_hub.store.database import Database
from integrations_hub.store.projects import PostgresProjectStore
from integrations_hub.transport.table_file import read_table, write_table

ODD = ["=1+1", "'=x", 'O\'Brien; "quoted", comma', "línea\nbreak", "@sum", "-5", "00123", "\t tab"]


@pytest.fixture
def projects(database: Database) -> Projects:
    return Projects(PostgresProjectStore(database), read_table, write_table)


def _add(database: Database, **values: Any) -> int:
    columns = ", ".join(values)
    places = ", ".join(f"%({name})s" for name in values)
    row = database.row(
        f"INSERT INTO hub.projects ({columns}) VALUES ({places}) RETURNING id", values
    )
    assert row is not None
    return int(row["id"])


def _all(database: Database) -> list[dict[str, Any]]:
    return database.rows("SELECT * FROM hub.projects ORDER BY id")


@pytest.mark.parametrize("ending", ["csv", "xlsx"])
def test_an_export_imported_again_changes_nothing(
    projects: Projects, database: Database, tmp_path: Path, ending: str
) -> None:
    for n, text in enumerate(ODD):
        _add(
            database,
            name=f"{text} {n}",
            client=text,
            notes=text,
            project_number=f"0{n}",
            start_date="2026-01-31",
        )
    before, path = _all(database), tmp_path / f"all.{ending}"
    assert projects.export(path, status="all") == len(ODD)
    outcome = projects.import_file(path, actor="t", dry_run=False)
    assert (outcome.created, outcome.updated, outcome.differences) == (0, 0, [])
    assert _all(database) == before


def test_no_exported_cell_is_a_formula(
    projects: Projects, database: Database, tmp_path: Path
) -> None:
    _add(database, name='=HYPERLINK("http://x")', client="+1", lead="@x")
    projects.export(tmp_path / "p.csv", status=None)
    assert "\n1,,'=HYPERLINK" not in (tmp_path / "p.csv").read_text()
    projects.export(tmp_path / "p.xlsx", status=None)
    sheet = openpyxl.load_workbook(tmp_path / "p.xlsx").worksheets[0]
    assert [c.data_type for c in sheet[2] if c.data_type == "f"] == []
    assert sheet["C2"].value == '\'=HYPERLINK("http://x")'


def test_inactive_and_deleted_projects_are_exported_on_request_only(
    projects: Projects, database: Database, tmp_path: Path
) -> None:
    _add(database, name="A")
    _add(database, name="B", status="inactive")
    _add(database, name="C", deleted_at="2026-01-01")
    assert projects.export(tmp_path / "p.csv", status=None) == 1
    assert projects.export(tmp_path / "p.csv", status="inactive") == 1
    assert projects.export(tmp_path / "p.csv", status="all") == 3


def test_lines_find_their_project_by_id_or_number_and_new_ones_are_created(
    projects: Projects, database: Database, tmp_path: Path
) -> None:
    by_id = _add(database, name="Old name", client="Kept")
    by_number = _add(database, name="Numbered", project_number="N-1", bqe_client_name="Theirs")
    path = tmp_path / "p.csv"
    path.write_text(
        f"id,project_number,name,bqe_client_name\n{by_id},,New name,X\n,N-1,Numbered two,X\n,N-2,Fresh,X\n"
    )
    dry = projects.import_file(path, actor="t", dry_run=True)
    assert [row["name"] for row in _all(database)] == ["Old name", "Numbered"]
    outcome = projects.import_file(path, actor="t", dry_run=False)
    assert (dry.created, dry.updated) == (outcome.created, outcome.updated) == (1, 2)
    assert dry.differences == outcome.differences
    rows = {row["id"]: row for row in _all(database)}
    assert (rows[by_id]["name"], rows[by_id]["client"]) == ("New name", "Kept")
    assert (rows[by_number]["name"], rows[by_number]["bqe_client_name"]) == (
        "Numbered two",
        "Theirs",
    )
    assert {row["name"] for row in rows.values()} == {"New name", "Numbered two", "Fresh"}
    (entry,) = database.rows("SELECT actor, action, detail FROM hub.audit_log")
    assert entry["action"] == "projects.imported"
    assert (entry["detail"]["created"], entry["detail"]["updated"]) == (1, 2)


def test_one_bad_line_keeps_every_line_out_and_all_are_named(
    projects: Projects, database: Database, tmp_path: Path
) -> None:
    _add(database, name="A", project_number="7")
    _add(database, name="B", project_number="7")
    path = tmp_path / "p.csv"
    path.write_text(
        "id,project_number,name\n999,,Gone\n,7,Which\n,8,Twice\n,8,Twice again\n,9,Good\n"
    )
    with pytest.raises(FileRefused) as refused:
        projects.import_file(path, actor="t", dry_run=False)
    for said in (
        "line 2: there is no project 999",
        "line 3: 2 projects have this number",
        "line 5: means the same project as line 4",
    ):
        assert said in refused.value.message
    assert [row["name"] for row in _all(database)] == ["A", "B"]


def _xlsx(path: Path, *rows: list[Any]) -> None:
    book = openpyxl.Workbook()
    for row in rows:
        book.active.append(row)  # type: ignore[union-attr]
    book.save(path)


def _zip(path: Path, **entries: bytes) -> None:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in entries.items():
            archive.writestr(name.replace("__", "/"), content)


def _formula(path: Path) -> None:
    _xlsx(path, ["name"], ["=1+1"])


def _far_cell(path: Path) -> None:
    book = openpyxl.Workbook()
    book.active["A1"] = "name"  # type: ignore[index]
    book.active["XFD1048576"] = "x"  # type: ignore[index]
    book.save(path)


BAD: dict[str, tuple[str, Any, str]] = {
    "a renamed program": ("p.csv", b"\x7fELF\x02\x01\x00\xff\xfe", "no UTF-8 text"),
    "latin-1": ("p.csv", "name\nMüller".encode("latin-1"), "no UTF-8 text"),
    "binary zeros": ("p.csv", b"name\nA\0B", "no text file"),
    "an open quote": ("p.csv", b'name\n"never closed', "no sound CSV"),
    "too large": ("p.csv", b"name\n" + b"x" * 6_000_000, "larger than 5 MB"),
    "too many rows": ("p.csv", b"name\n" + b"a\n" * 100_001, "more than 100,000 rows"),
    "too many columns": ("p.csv", b"name" + b"," * 200, "more than 200 columns"),
    "no archive": ("p.xlsx", b"name\nA", "no XLSX file"),
    "a bomb": (
        "p.xlsx",
        lambda p: _zip(p, xl__worksheets__sheet1=b"0" * 40_000_000),
        "packed more tightly",
    ),
    "a larger bomb": (
        "p.xlsx",
        lambda p: _zip(p, a=b"0" * 30_000_000, b=b"0" * 30_000_000),
        "larger inside",
    ),
    "macros": ("p.xlsx", lambda p: _zip(p, xl__vbaProject=b"x"), "macros"),
    "a damaged book": ("p.xlsx", lambda p: _zip(p, xl__workbook=b"x"), "no sound XLSX"),
    "a formula": ("p.xlsx", _formula, "formula in row 2"),
    "a cell a million rows down": ("p.xlsx", _far_cell, "more than 100,000 rows"),
    "another ending": ("p.exe", b"name\nA", "ends in neither .csv nor .xlsx"),
    "nothing": ("p.csv", b"", "is empty"),
}


@pytest.mark.parametrize("case", BAD)
def test_a_file_that_we_do_not_read_is_a_sentence(
    projects: Projects, database: Database, tmp_path: Path, case: str
) -> None:
    name, content, says = BAD[case]
    path = tmp_path / name
    content(path) if callable(content) else path.write_bytes(content)
    with pytest.raises(FileRefused) as refused:
        projects.import_file(path, actor="t", dry_run=False)
    assert says in refused.value.message
    assert str(tmp_path) not in refused.value.message
    assert _all(database) == []


def test_an_xlsx_bomb_of_entities_is_refused(projects: Projects, tmp_path: Path) -> None:
    good = io.BytesIO()
    book = openpyxl.Workbook()
    book.active.append(["name"])  # type: ignore[union-attr]
    book.save(good)
    source = zipfile.ZipFile(good)
    path = tmp_path / "p.xlsx"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for entry in source.infolist():
            content = source.read(entry)
            if entry.filename == "xl/worksheets/sheet1.xml":
                lol = "".join(f'<!ENTITY e{n} "{f"&e{n - 1};" * 10}">' for n in range(1, 9))
                head = f'<!DOCTYPE x [<!ENTITY e0 "lol">{lol}]>'.encode()
                content = head + content.replace(b"name", b"&e8;")
            archive.writestr(entry.filename, content)
    with pytest.raises(FileRefused):
        projects.import_file(path, actor="t", dry_run=True)


def test_resetting_the_client_shows_first_and_changes_only_what_was_shown(
    projects: Projects, database: Database
) -> None:
    edited = _add(
        database,
        name="A",
        client="Ours",
        bqe_client_name="Theirs",
        client_sync_policy_state='{"diverged": true}',
    )
    same = _add(database, name="B", client="Theirs", bqe_client_name="Theirs")
    local = _add(database, name="C", client="Ours")
    shown = projects.client_differences(None)
    assert [(row["id"], row["before"], row["after"]) for row in shown] == [
        (edited, "Ours", "Theirs")
    ]
    assert projects.reset_clients([edited, same, local], actor="t") == 1
    rows = {row["id"]: row for row in _all(database)}
    assert rows[edited]["client"] == "Theirs"
    assert rows[edited]["client_sync_policy_state"]["diverged"] is False
    assert rows[local]["client"] == "Ours"
    (entry,) = database.rows(
        "SELECT detail FROM hub.audit_log WHERE action = 'projects.client_reset'"
    )
    assert entry["detail"] == {"ids": [edited]}
    with pytest.raises(NotFound, match="no project 999"):
        projects.client_differences([edited, 999])


def test_the_command_line_does_all_three(
    database_url: str, database: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HUB_DATABASE_URL", database_url)
    path, call = tmp_path / "p.csv", CliRunner().invoke
    path.write_text("name,client\nTower,Ours\n")
    dry = call(app, ["projects", "import", str(path), "--dry-run", "--json"])
    assert json.loads(dry.stdout)["created"] == 1
    assert _all(database) == []
    assert "1 projects are created" in call(app, ["projects", "import", str(path)]).stdout
    as_a_sync = "set_config('hub.writer', 'sync', true) = 'sync'"
    database.execute(f"UPDATE hub.projects SET bqe_client_name = 'Theirs' WHERE {as_a_sync}")
    shown = call(app, ["projects", "reset-client", "--dry-run", "--json"])
    assert json.loads(shown.stdout)["differences"][0]["after"] == "Theirs"
    assert _all(database)[0]["client"] == "Ours"
    assert call(app, ["projects", "reset-client", "--yes"]).exit_code == 0
    assert _all(database)[0]["client"] == "Theirs"
    assert (
        json.loads(call(app, ["projects", "export", str(path), "--json"]).stdout)["exported"] == 1
    )
    path.write_text("colour\nred\n")
    bad = call(app, ["projects", "import", str(path)])
    assert bad.exit_code == 1
    assert "FILE_REFUSED" in bad.stderr
    assert "What to do:" in bad.stderr
