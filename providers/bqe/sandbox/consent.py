"""The consent page: plain HTML forms that work without JavaScript."""

from __future__ import annotations

from collections.abc import Mapping
from html import escape

from starlette.responses import HTMLResponse

from providers.bqe.sandbox.grants import COMPANIES, App

SCOPE_WORDS = {
    "read:core": "Read your company's data",
    "readwrite:core": "Read and change your company's data",
    "offline_access": "Keep access while you are away",
    "openid": "Know who you are",
    "profile": "See your name",
    "email": "See your e-mail address",
    "address": "See your address",
}
_HEADERS = {
    "Cache-Control": "no-store",
    "X-Frame-Options": "DENY",
    "Content-Security-Policy": "default-src 'none'; style-src 'unsafe-inline'; "
    "frame-ancestors 'none'; base-uri 'none'",
}
_STYLE = """
:root{color-scheme:light dark;--ink:#1b2430;--soft:#5b6776;--line:#d5dbe3;--ground:#f3f5f8;
--card:#fff;--act:#0b5cad}
@media (prefers-color-scheme:dark){:root{--ink:#e8edf3;--soft:#a4b0bf;--line:#3a4552;
--ground:#12171d;--card:#1b222b;--act:#7cb8f5}}
*{box-sizing:border-box}
body{margin:0;min-height:100vh;display:grid;place-items:center;padding:1rem;
background:var(--ground);color:var(--ink);font:1rem/1.5 system-ui,sans-serif}
main{width:100%;max-width:27rem;padding:2rem;background:var(--card);border:1px solid var(--line);
border-radius:12px}
h1{margin:.25rem 0 1rem;font-size:1.35rem;line-height:1.3}
.note{margin:0;color:var(--soft);font-size:.875rem}
ul{margin:0 0 1.25rem;padding-left:1.25rem}
label{display:block;margin-bottom:.25rem;font-weight:600}
select,button{width:100%;min-height:44px;padding:.5rem .75rem;border:1px solid var(--line);
border-radius:8px;background:var(--card);color:var(--ink);font:inherit}
.choice{display:grid;grid-template-columns:1fr 1fr;gap:.75rem;margin-top:1.5rem}
button{cursor:pointer;font-weight:600}
button[value=allow]{background:var(--act);border-color:var(--act);color:var(--card)}
:focus-visible{outline:3px solid var(--act);outline-offset:2px}
"""


def page(app: App, scopes: list[str], request: Mapping[str, str]) -> HTMLResponse:
    """Ask; the form carries the authorization `request` back in hidden inputs."""
    hidden = "".join(
        f'<input type="hidden" name="{escape(name)}" value="{escape(value)}">'
        for name, value in request.items()
    )
    options = "".join(
        f'<option value="{company.key}">{escape(company.name)}</option>'
        for company in COMPANIES.values()
    )
    wishes = "".join(f"<li>{escape(SCOPE_WORDS[scope])}</li>" for scope in scopes)
    return _document(
        f"Allow {app.label}?",
        f"""<p id="asks">It asks to:</p>
<ul aria-labelledby="asks">{wishes}</ul>
<form method="post" action="authorize">{hidden}
<label for="company">Company</label>
<select id="company" name="company">{options}</select>
<div class="choice">
<button name="decision" value="deny">Deny</button>
<button name="decision" value="allow">Allow</button>
</div></form>""",
        200,
    )


def refusal(message: str) -> HTMLResponse:
    """An error that must not be sent to the redirect address."""
    return _document("This request cannot be answered", f"<p>{escape(message)}</p>", 400)


def _document(title: str, body: str, status: int) -> HTMLResponse:
    return HTMLResponse(
        f"""<!doctype html>
<html lang="en"><head><meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{escape(title)}</title><style>{_STYLE}</style></head>
<body><main><p class="note">Sandbox: invented companies, invented data</p>
<h1>{escape(title)}</h1>
{body}
</main></body></html>""",
        status,
        headers=_HEADERS,
    )
