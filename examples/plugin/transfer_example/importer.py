"""An importer: distances between languages from `source target value` lines, as a study of their own."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from compute.errors import UserError
from compute.importers import ImportConfig, Imported, ImportedStudy, Say, file_digest, read_text
from compute.plugin import Job


def read(files: Sequence[Path], map_file: Path | None, say: Say) -> ImportedStudy:
    """Return a job a file, with its rows."""
    jobs = []
    for file in files:
        config = ImportConfig(importer="key-value", sha256=file_digest(file))
        rows = []
        for number, line in enumerate(read_text(file).splitlines(), start=1):
            parts = line.split()
            if len(parts) != 3:
                raise UserError(f"{file}:{number}: expected source, target and value, found {len(parts)} words")
            source, target, value = parts
            rows.append(
                {"source_language": source, "target_language": target, "measure": file.stem, "value": float(value)}
            )
        say(f"{file}: {len(rows)} distances")
        job = Job("import", "1", config, label=f"import {file.name}")
        jobs.append(Imported(job, {"language_distances": rows}))
    return ImportedStudy(jobs)
