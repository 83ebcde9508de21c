"""Questions on disk: the artifact from which training and scoring jobs read, instead of going back to the sources.

`<folder>/<split>.jsonl`, a file for every split, one question a line: UTF-8, and texts exactly as they were.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path

from compute.errors import JobError
from compute.tasks.task import SPLITS, Question, Split


def save_questions(folder: Path, questions: Mapping[Split, Sequence[Question]]) -> None:
    """Write the questions of each split; a split that is not given becomes an empty file.

    Args:
        folder: an existing directory, such as a job's artifact while it is being staged.
        questions: by split, in the order in which they are to be read.

    Raises:
        ValueError: a text that is no Unicode text (half of a surrogate pair).
        OSError: the disk refuses.
    """
    for split in SPLITS:
        with open(_file(folder, split), "w", encoding="utf-8") as file:
            for question in questions.get(split, ()):
                record = vars(question) | {"fields": dict(question.fields)}
                file.write(json.dumps(record, ensure_ascii=False) + "\n")


def load_questions(folder: Path, split: Split) -> list[Question]:
    """Return the questions of a split as they were saved, in the same order.

    Raises:
        JobError: the file is missing or damaged; the line names it and the row.
    """
    path = _file(folder, split)
    questions, number = [], 0
    try:
        with open(path, encoding="utf-8") as file:
            for line in file:
                number += 1
                record = json.loads(line)
                chat = tuple((role, text) for role, text in record["chat"])
                questions.append(Question(**record | {"choices": tuple(record["choices"]), "chat": chat}))
    except OSError as error:
        raise JobError(f"questions {path}: {error.strerror or error}") from error
    except (ValueError, KeyError, TypeError) as error:
        raise JobError(f"questions {path}, row {number}: damaged ({type(error).__name__}: {error})") from error
    return questions


def _file(folder: Path, split: Split) -> Path:
    return folder / f"{split}.jsonl"
