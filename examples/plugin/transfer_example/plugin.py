"""A plugin: jobs of its own, asked for under `plugins:` in a study. This one counts the letters languages share."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from pydantic import BaseModel, ConfigDict, Field

from compute.numeral_words import number_word
from compute.plugin import Context, Job, JobConfig, Outcome, Planned, Plugin
from compute.study.schema import Study


class Section(BaseModel):
    """What the study says under `plugins: {script_distance: ...}`."""

    model_config = ConfigDict(extra="forbid")

    languages: list[str] = Field(min_length=2)
    numbers: int = Field(100, ge=1, description="0 up to this number, less one")


class Letters(JobConfig):
    """One job: all that decides its result. Two studies that ask for the same share it."""

    source: str
    targets: tuple[str, ...]
    numbers: int


class ScriptDistance(Plugin):
    """Rows of `raw.language_distances`: the share of letters of number words that two languages do not share."""

    name = "script_distance"
    version = "1"
    Config = Section

    def plan(self, study: Study, planned: Planned, config: Section) -> Iterable[Job]:
        for source in config.languages:
            targets = tuple(language for language in config.languages if language != source)
            yield Job(
                plugin=self.name,
                version=self.version,
                config=Letters(source=source, targets=targets, numbers=config.numbers),
                label=f"letters of {source}",
            )

    def run(self, jobs: Sequence[Job[Letters]], context: Context) -> Iterator[tuple[Job, Outcome]]:
        for done, job in enumerate(jobs):
            context.report_progress(job.label, done / len(jobs))
            own = _letters(job.config.source, job.config.numbers)
            rows = []
            for target in job.config.targets:
                others = _letters(target, job.config.numbers)
                rows.append(
                    {
                        "source_language": job.config.source,
                        "target_language": target,
                        "measure": "letters_not_shared",
                        "value": 1 - len(own & others) / len(own | others),
                    }
                )
            yield job, {"language_distances": rows}


def _letters(language: str, numbers: int) -> set[str]:
    return {letter for n in range(numbers) for letter in number_word(n, language)}
