"""Great Expectations' Data Docs of an audit: a folder of pages that need no network and run no script.

As they are made, the pages fetch their styles, icons and scripts from other hosts, and their index is a table that one
of those scripts draws. So references to other hosts are taken out, a content policy forbids them and any script, and a
few styles and an index of ours stand in their place.
"""

from __future__ import annotations

import re
import shutil
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import jinja2

_SITE = "audit"

_POLICY = "default-src 'none'; style-src 'unsafe-inline'; img-src 'self'"

_STYLE = """
body { font: 15px/1.5 system-ui, sans-serif; margin: 2em auto; max-width: 75em; padding: 0 1em; }
table { border-collapse: collapse; width: 100%; }
th, td { border-bottom: 1px solid #ccc; padding: .3em .8em .3em 0; text-align: left; vertical-align: top; }
td { overflow-wrap: anywhere; }
td.verdict { white-space: nowrap; }
.fails { color: #a00; font-weight: bold; }
.fa-check-circle::before { content: "passes"; }
.fa-times::before, .fa-exclamation-triangle::before { color: #a00; content: "fails"; font-weight: bold; }
.card, footer { display: none; }
"""

_ELSEWHERE = re.compile(
    r"<script\b.*?</script>|<(?:link|img)\b[^>]*\bhttps?://[^>]*>|<footer\b.*?</footer>", re.DOTALL | re.IGNORECASE
)
"""Scripts, what is fetched from another host, and the advertisement at the foot."""

_IMAGE_ELSEWHERE = re.compile(r"url\(\s*['\"]?https?:[^)]*\)", re.IGNORECASE)
"""A picture that a style fetches from another host."""

_INDEX = """<!DOCTYPE html>
<html lang="en">
<head><meta charset="UTF-8"><title>Audit of {{ study }}</title></head>
<body>
<h1>Audit of {{ study }}</h1>
<p>Checks: {{ findings | length }}; errors: {{ failed("error") }}; warnings: {{ failed("warning") }}.</p>
<table>
<tr><th>suite</th><th>check</th><th>severity</th><th>result</th><th>what was found</th></tr>
{% for finding in findings %}
<tr>
<td><a href="{{ pages[finding.suite] }}">{{ finding.suite }}</a></td>
<td>{{ finding.expectation }}<br><small>{{ finding.details.description }}</small></td>
<td>{{ finding.severity }}</td>
<td class="verdict">{% if finding.success %}passes{% else %}<span class="fails">fails</span>{% endif %}</td>
<td>{{ finding.observed }}</td>
</tr>
{% endfor %}
</table>
</body>
</html>
"""


def write_data_docs(context: Any, folder: Path, study: str, findings: Sequence[Mapping[str, Any]]) -> None:
    """Writes the pages of what `context` has run, with `index.html`, into `folder`, whose old content goes.

    Args:
        context: a Great Expectations context that keeps its results.
        folder: made if it is not there; replaced whole.
        study: the study's name, for the index.
        findings: what the checks found, of every suite that was run.

    Raises:
        OSError: the folder cannot be written.
    """
    folder.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=".data_docs-", dir=folder.parent) as temporary:
        built = Path(temporary, "site")
        _build(context, built)
        for page in built.rglob("*.html"):
            page.write_text(closed(page.read_text(encoding="utf-8")), encoding="utf-8")
        (built / "index.html").write_text(closed(index(built, study, findings)), encoding="utf-8")
        shutil.rmtree(built / "static", ignore_errors=True)  # logos and fonts that the pages no longer show
        if folder.exists():
            shutil.rmtree(folder)
        built.rename(folder)


def closed(page: str) -> str:
    """An HTML page that fetches nothing and runs nothing, in plain styles."""
    head = f'<meta http-equiv="Content-Security-Policy" content="{_POLICY}"><style>{_STYLE}</style>'
    page = _IMAGE_ELSEWHERE.sub("none", _ELSEWHERE.sub("", page))
    return page.replace("<head>", f"<head>{head}", 1)


def _build(context: Any, folder: Path) -> None:
    for name in context.get_site_names():
        context.delete_data_docs_site(name)
    backend = {"class_name": "TupleFilesystemStoreBackend", "base_directory": str(folder.absolute())}
    site = {"class_name": "SiteBuilder", "store_backend": backend, "show_how_to_buttons": False}
    context.add_data_docs_site(_SITE, site | {"site_index_builder": {"class_name": "DefaultSiteIndexBuilder"}})
    context.build_data_docs(_SITE)


def index(folder: Path, study: str, findings: Sequence[Mapping[str, Any]]) -> str:
    """The first page of the site in `folder`: every check with what it found, and a link to its suite's page."""
    suites = {finding["suite"] for finding in findings}
    pages = {
        suite: page.relative_to(folder).as_posix()
        for suite in suites
        for page in (folder / "validations" / suite).rglob("*.html")
    }

    def failed(severity: str) -> int:
        return sum(not finding["success"] and finding["severity"] == severity for finding in findings)

    environment = jinja2.Environment(autoescape=True, undefined=jinja2.StrictUndefined)
    return environment.from_string(_INDEX).render(study=study, findings=findings, pages=pages, failed=failed)
