"""What a person does on a provider's consent page, without a screen: read the form, choose, press the button."""

from __future__ import annotations

from html.parser import HTMLParser
from urllib.parse import urljoin, urlsplit

import httpx

from integrations_hub.errors import FlowRejected, ProviderUnreachable

_MAX_STEPS = 10


class ConsentForm(HTMLParser):
    """The first form of a page: where it goes and what it sends when the "allow" button is pressed."""

    def __init__(self) -> None:
        super().__init__()
        self.action: str | None = None
        self.fields: dict[str, str] = {}
        self._select = ""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Collect hidden inputs, the first choice of each list, and the button that allows."""
        found = {name: value or "" for name, value in attrs}
        name = found.get("name", "")
        if tag == "form" and self.action is None:
            self.action = found.get("action", "")
        elif tag == "input" and name:
            self.fields[name] = found.get("value", "")
        elif tag == "select":
            self._select = name
        elif tag == "option" and self._select and self._select not in self.fields:
            self.fields[self._select] = found.get("value", "")
        elif tag == "button" and found.get("value") == "allow":
            self.fields[name] = "allow"


class Consent:
    """Gives the consent in one cookie jar, as one browser would."""

    def __init__(self, http: httpx.Client) -> None:
        self._http = http

    def give(self, authorize_url: str, *, until_path: str) -> None:
        """Open the page, allow, and follow back to the address whose path ends in `until_path`.

        Raises FlowRejected (the page or the callback refused) or ProviderUnreachable.
        """
        page = self._send("GET", authorize_url)
        form = ConsentForm()
        form.feed(page.text)
        if page.status_code != 200 or form.action is None:
            raise FlowRejected(
                f"The consent page at {_place(authorize_url)} answered {page.status_code}."
            )
        answer = self._send("POST", urljoin(str(page.url), form.action), form.fields)
        for _ in range(_MAX_STEPS):
            back = urlsplit(str(answer.url)).path.endswith(until_path)
            if back and answer.status_code < 400:
                return
            if not answer.has_redirect_location:
                break
            answer = self._send("GET", urljoin(str(answer.url), answer.headers["location"]))
        raise FlowRejected(
            f"The way back from the consent page ended at {_place(str(answer.url))} with {answer.status_code}."
        )

    def _send(self, method: str, url: str, form: dict[str, str] | None = None) -> httpx.Response:
        try:
            return self._http.request(method, url, data=form, follow_redirects=False)
        except httpx.HTTPError as error:
            raise ProviderUnreachable(
                f"{_place(url)} does not answer: {error}.", hint="Is the sandbox running?"
            ) from error


def _place(url: str) -> str:
    """Without the query: it holds code and state."""
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc}{parts.path}"
