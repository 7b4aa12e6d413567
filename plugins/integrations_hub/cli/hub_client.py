"""The Hub's REST API as a person with a login uses it (the demo does)."""

from __future__ import annotations

from typing import Any, cast

import httpx

from integrations_hub.cli.browser import Consent
from integrations_hub.errors import HubError, NotFound, ProviderUnreachable

Json = dict[str, Any]


class HubClient:
    """One signed-in session. Raises HubError with the bridge's own message and hint."""

    def __init__(self, base_url: str, provider: str) -> None:
        self._base = base_url
        self._provider = provider
        self._http = httpx.Client(timeout=30, trust_env=False)
        self._headers: dict[str, str] = {}

    def close(self) -> None:
        """End the session."""
        self._http.close()

    def log_in(self, user: str, password: str) -> None:
        """Get Airflow's token and send it with every further request."""
        answer = self._call("POST", "/auth/token", {"username": user, "password": password})
        self._headers["Authorization"] = f"Bearer {answer['access_token']}"

    def connection(self, key: str) -> Json | None:
        """The connection's state, None when there is none."""
        try:
            return self._call("GET", f"{self._api}/connections/{key}")
        except NotFound:
            return None

    def create_connection(self, key: str, label: str, environment: str) -> Json:
        """Make a connection that is not yet authorised."""
        body = {"key": key, "label": label, "environment": environment}
        return self._call("POST", f"{self._api}/connections", body)

    def authorise(self, key: str) -> None:
        """The OAuth dance, consent page included."""
        started = self._call("POST", f"{self._api}/connect/start?connection={key}")
        Consent(self._http).give(str(started["authorize_url"]), until_path="/callback")

    def rule(self, object_key: str, connection: str) -> Json | None:
        """The saved rule, None when there is none."""
        try:
            return self._call("GET", f"{self._api}/{object_key}/rule?connection={connection}")
        except NotFound:
            return None

    def save_rule(self, object_key: str, connection: str, body: Json) -> Json:
        """Save the rule of an object."""
        return self._call("PUT", f"{self._api}/{object_key}/rule?connection={connection}", body)

    def enable_rule(self, object_key: str, connection: str) -> Json:
        """Enable it; its Dag appears within seconds."""
        path = f"{self._api}/{object_key}/rule/enable?connection={connection}"
        return self._call("POST", path, {"nothing_to_match": True})

    def run_now(self, object_key: str, connection: str) -> Json:
        """Ask for a run as the schedule would make it."""
        path = f"{self._api}/{object_key}/run?connection={connection}"
        return self._call("POST", path, {"mode": "scheduled"})

    def job(self, job_id: int) -> Json:
        """A run's state and counts."""
        return self._call("GET", f"/hub/api/jobs/{job_id}")

    @property
    def _api(self) -> str:
        return f"/hub/api/integrations/{self._provider}"

    def _call(self, method: str, path: str, body: Json | None = None) -> Json:
        try:
            answer = self._http.request(
                method, f"{self._base}{path}", json=body, headers=self._headers
            )
        except httpx.HTTPError as error:
            raise ProviderUnreachable(
                f"{method} {path} got no answer: {error}.", hint="Look at the api-server's log."
            ) from error
        if answer.status_code >= 400:
            raise _refused(method, path, answer)
        return cast("Json", answer.json()) if answer.content else {}


def _refused(method: str, path: str, answer: httpx.Response) -> HubError:
    try:
        told = answer.json()
    except ValueError:
        told = {}
    told = told.get("error", told) if isinstance(told, dict) else {}
    told = told if isinstance(told, dict) else {}
    message = str(told.get("message") or told.get("detail") or answer.text[:300])
    kind = NotFound if answer.status_code == 404 else HubError
    return kind(
        f"{method} {path} was answered with {answer.status_code}: {message}",
        hint=str(told.get("hint") or ""), code=str(told.get("code") or ""),
    )  # fmt: skip
