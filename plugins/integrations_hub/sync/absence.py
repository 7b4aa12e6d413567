"""What a complete sweep did not list: staged, and looked up by id before anybody concludes anything (D4)."""

from __future__ import annotations

from integrations_hub.sync.reading import Reading

_MAX_ROWS, _MAX_PERCENT = 10, 5.0


class Absence:
    """Absence is never deletion: only a second complete sweep and the provider's 404 or 410 by id are."""

    def __init__(self, reading: Reading) -> None:
        self._reading = reading
        self._listing = reading.listing

    def settle(self) -> None:
        """List the absent records once, then look up those that were missing before.

        More missing than max(10 rows, 5 %), or an empty list, is a broken listing: no look-up, and
        the run ends after map_fields to ask a person (the run's `hold`).
        """
        if "absent" not in self._listing:
            self._list()
        self._look_up()

    def _list(self) -> None:
        stage = self._reading.stage
        with stage.write() as tx:
            counts = tx.completeness().list_absent(
                listed=int(self._listing["count_before"]),
                max_rows=_MAX_ROWS,
                max_percent=_MAX_PERCENT,
            )
            self._listing["absent"] = counts
            if counts["too_many"]:
                self._listing["hold"] = {
                    "code": "TOO_MANY_MISSING",
                    "text": f"{counts['absent']} of {counts['linked']} linked records are missing from a complete list.",
                    "hint": "Check at the provider what the connected user may see; nothing was written.",
                }
            tx.save_listing(self._listing, requests=self._reading.sent())
        stage.log("absence_listed", **counts)

    def _look_up(self) -> None:
        reading, store = self._reading, self._reading.stage.store
        asked = store.absent_to_ask(reading.stage.run.id)
        if asked and not self._look_ups_work():
            with reading.stage.write() as tx:
                tx.completeness().save_unproven()
                tx.add_warnings(
                    [
                        "Records could not be looked up by id, so nothing is concluded from their absence."
                    ]
                )
            return
        for external_id in asked:
            verdict = reading.client.presence(external_id)
            with reading.stage.write() as tx:
                tx.completeness().save_presence(external_id, verdict)
                tx.save_listing(self._listing, requests=reading.sent())
            reading.pace.check()

    def _look_ups_work(self) -> bool:
        """A record that was just listed must be found: else 404 means something other than gone."""
        listed = self._reading.stage.store.a_listed_record(self._reading.stage.run.id)
        return listed is not None and self._reading.client.presence(listed) == "present"
