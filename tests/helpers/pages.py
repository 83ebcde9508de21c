"""A page as a browser would read it."""

from __future__ import annotations

from html.parser import HTMLParser


class Page(HTMLParser):
    """What a browser would make of the page."""

    def __init__(self, html: str) -> None:
        super().__init__(convert_charrefs=True)
        self.html = html
        self.tags: list[str] = []
        self.attributes: list[tuple[str, str, str]] = []
        self.sql: dict[str, list[str]] = {}
        self.table_rows: dict[str, list[list[str]]] = {}
        self.text: dict[str, str] = {"": ""}
        self._section, self._in_sql, self._pre, self._cell = "", False, False, False
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = {name: value or "" for name, value in attrs}
        self.tags.append(tag)
        self.attributes += [(tag, name, value) for name, value in given.items()]
        if tag == "section":
            self._section = given["id"]
            self.text[self._section] = ""
        elif tag == "details":
            self._in_sql = given.get("class") == "sql"
        elif tag == "pre":
            self._pre = True
            if self._in_sql:
                self.sql.setdefault(self._section, []).append("")
        elif tag == "tr":
            self.table_rows.setdefault(self._section, []).append([])
        elif tag in ("td", "th"):
            self._cell = True
            self.table_rows[self._section][-1].append("")

    def handle_endtag(self, tag: str) -> None:
        self._pre = self._pre and tag != "pre"
        self._cell = self._cell and tag not in ("td", "th")

    def handle_data(self, data: str) -> None:
        self.text[self._section] += data
        if self._pre and self._in_sql:
            self.sql[self._section][-1] += data
        if self._cell:
            self.table_rows[self._section][-1][-1] += data
