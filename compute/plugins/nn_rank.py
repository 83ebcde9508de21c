"""Plugin `nn_rank`: which sources' training items a base model takes a target's items for, before it is tuned.

    plugins:
      nn_rank: {}

Source: NN-Rank (Ebrahimi, Wiemerslage & von der Wense, "Model-Based Ranking of Source Languages for Zero-Shot
Cross-Lingual Transfer", EMNLP 2025, arXiv 2510.03202; layer, distance and k as in the code that they published). Each
token of the target's unlabelled texts has its k = 5 nearest tokens among those of all sources' texts, by inner product
of hidden states at layer 8 of 12, special tokens left out; each of the k is a vote for the source that it is of, and a
source's value is its share of all votes.

What is ours, since the models are causal: tokens are near by cosine unless the study says otherwise. The authors'
models end each layer in a normalization, after which both orders are nearly one; in most causal models the lengths of
states differ, and by inner product a few tokens may be the nearest of all (Gemma 3 270M, layer 12: five had nearly
every vote). The first token of each text is left out with the special ones. Tokens of equal state (texts that begin
alike) share their votes. And a target's candidates are all source cells but itself, where the authors leave out all of
its language.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, Literal

from pydantic import Field

from compute.errors import JobError
from compute.plugin import Context, Job, Outcome, Planned, Plugin
from compute.plugins.bases import BASE, Base, OnBase, load_base
from compute.plugins.costs import matching_cost, model_weights, scoring_cost
from compute.plugins.one_job import failing_one_job, one_by_one
from compute.plugins.products import BaseModel as LanguageModel
from compute.plugins.products import TaskItems, label_of
from compute.plugins.scoring_rows import WordedCell, worded_items
from compute.study.schema import ModelEntry, Study
from compute.tasks import Prompt, Split
from compute.values import Section

if TYPE_CHECKING:
    from torch import Tensor

    from compute.language_models.hidden_states import TokenStates

Similarity = Literal["cosine", "inner product"]


class Settings(Section):
    """The plugin's section of a study."""

    items: int = Field(
        50,
        ge=1,
        description="training items of each source, and test items of each target, that are read; without answers",
    )
    layer: int | None = Field(
        None, ge=1, description="after which layer states are compared, from 1; left out: two thirds of the way up"
    )
    neighbours: int = Field(5, ge=1, description="tokens of sources that each token of a target votes for")
    similarity: Similarity = Field(
        "cosine", description="by which tokens are near; inner product: as the authors, for models of even lengths"
    )


class Texts(WordedCell):
    """The first items of a cell's split, as they are put to the model."""

    items: int
    prompt_format: Prompt = Field(exclude=True)
    """`prompt` has its digest."""


class NearestTokens(OnBase):
    """A target's tokens, and the sources among whose tokens the nearest are searched."""

    sources: tuple[Texts, ...]
    target: Texts
    layer: int | None
    neighbours: int
    similarity: Similarity


_Job = Job[NearestTokens]


class NnRank(Plugin):
    """Rows of `raw.source_similarities`: of each base model and target, every source but the target itself.

    One job a model and target: its sources are part of what it says, since their votes are shares.
    """

    name = "nn_rank"
    version = "1"
    imports = ("compute.language_models.loading", "compute.language_models.hidden_states")
    Config = Settings

    def plan(self, study: Study, planned: Planned, config: Settings) -> Iterable[Job]:
        if study.sources is None or study.targets is None:
            raise ValueError("it ranks the sources of a study's targets, and there are no sources to tune on")
        every = tuple(_texts(study, cell, "train", config.items) for cell in sorted(study.sources.cells))
        targets = [_texts(study, cell, "test", config.items) for cell in study.targets.cells]
        if len(every) == 1 and {target.name for target in targets} == {every[0].name}:
            raise ValueError(f"it ranks sources other than the target itself, and {every[0].name} is the only one")
        items = sum(source.items for source in every)
        for entry in study.models:
            _check_layer(entry, config.layer)
            base = planned.find(LanguageModel, entry.name)
            weights = model_weights(entry)
            for target in targets:
                sources = tuple(source for source in every if source.name != target.name)
                if not sources:
                    continue
                items_of = {texts.input: planned.find(TaskItems, texts.name).key for texts in (*sources, target)}
                yield Job(
                    plugin=self.name,
                    version=self.version,
                    config=NearestTokens(
                        model=label_of(base),
                        truncate=study.truncate,
                        place=base.product.place,
                        sources=sources,
                        target=target,
                        layer=config.layer,
                        neighbours=config.neighbours,
                        similarity=config.similarity,
                    ),
                    inputs={BASE: base.key, **items_of},
                    label=f"nearest tokens {entry.name} -> {target.name}",
                    batch=entry.name,
                    cost=scoring_cost(weights, target.items + items / len(targets))
                    + matching_cost(target.items, items),
                    work=entry.name,
                )

    def run(self, jobs: Sequence[_Job], context: Context) -> Iterator[tuple[Job, Outcome]]:
        base = load_base(jobs[0], context)
        try:
            with failing_one_job():
                pool = _Pool(base, jobs, context)
        except (ValueError, JobError) as error:
            yield from ((job, JobError(str(error))) for job in jobs)
            return
        yield from one_by_one(jobs, context, pool.outcome)


def _texts(study: Study, cell: tuple[str, str], split: Split, items: int) -> Texts:
    task = study.task(*cell)
    used = study.items_used(*cell, split)
    there = task.size(cell[1], split) if used is None else used
    prompt = task.prompt(study.prompt_name(cell[0]))
    return Texts(
        task=cell[0],
        language=cell[1],
        items=items if there is None else min(items, there),
        prompt=prompt.label,
        prompt_format=prompt,
    )


def _check_layer(entry: ModelEntry, layer: int | None) -> None:
    """Raises ValueError where a model that is made has no such layer; of others it is known once they are loaded."""
    if layer is not None and entry.architecture is not None and layer > entry.architecture.layers:
        layers = entry.architecture.layers
        raise ValueError(f"layer {layer}: expected 1 to {layers}, as many as model {entry.name!r} has")


def _rows(config: NearestTokens, shares: Sequence[float]) -> Iterator[dict[str, object]]:
    for source, share in zip(config.sources, shares, strict=True):
        yield {
            "model": config.model,
            "source_task": source.task,
            "source_language": source.language,
            "target_task": config.target.task,
            "target_language": config.target.language,
            "measure": "nn_rank",
            "value": share,
        }


class _Pool:
    """The tokens of all sources of a visit's jobs, read once. A source that cannot be read fails its jobs."""

    def __init__(self, base: Base, jobs: Sequence[_Job], context: Context) -> None:
        self.base = base
        self.failed: dict[str, str] = {}
        self.columns: dict[str, int] = {}
        groups = []
        asked = {source.name: (job, source) for job in jobs for source in job.config.sources}
        for name, (job, source) in asked.items():
            try:
                groups.append(_read(job, source, "train", base, context))
                self.columns[name] = len(self.columns)
            except (ValueError, JobError) as error:
                self.failed[name] = f"source {name}: {error}"
        states = _states(base, groups, jobs[0].config)
        self.counts = states.counts
        self.vectors = _comparable(states.vectors, jobs[0].config, base)

    def outcome(self, job: _Job, context: Context) -> Outcome:
        """Return a job's rows. Raises as `shares`."""
        with failing_one_job():
            return {"source_similarities": list(_rows(job.config, self.shares(job, context)))}

    def shares(self, job: _Job, context: Context) -> list[float]:
        """Return each source's share of the votes. Raises ValueError or JobError if a text cannot be read."""
        config = job.config
        for source in config.sources:
            if source.name in self.failed:
                raise JobError(self.failed[source.name])
        own = _states(self.base, [_read(job, config.target, "test", self.base, context)], config)
        counts = self.counts[:, [self.columns[source.name] for source in config.sources]]
        is_candidate = counts.sum(1) > 0
        for what, found in (("its target", len(own.vectors)), ("its sources", int(is_candidate.sum()))):
            if not found:
                raise ValueError(f"the texts of {what} have no tokens after the first")
        return vote_shares(
            _comparable(own.vectors, config, self.base),
            own.counts[:, 0],
            self.vectors[is_candidate.to(self.vectors.device)],
            counts[is_candidate],
            config.neighbours,
        )


def _read(job: _Job, texts: Texts, split: Split, base: Base, context: Context) -> list[list[int]]:
    from compute.language_models.hidden_states import unlabelled_texts

    items = worded_items(job, texts.input, texts.prompt_format, split, texts.items, context)
    return unlabelled_texts(base.model, base.tokenizer, items, base.encoding)


def _states(base: Base, groups: Sequence[list[list[int]]], config: NearestTokens) -> TokenStates:
    from compute.language_models.hidden_states import token_states

    return token_states(base.model, base.tokenizer, groups, config.layer)


def _comparable(vectors: Tensor, config: NearestTokens, base: Base) -> Tensor:
    """Return the states whose inner products are compared, float32 on the model's device."""
    from compute.embeddings.neighbours import unit_rows_of

    moved = vectors.to(base.model.device).float()
    return unit_rows_of(moved) if config.similarity == "cosine" else moved


def vote_shares(queries: Tensor, n_queries: Tensor, keys: Tensor, n_keys: Tensor, k: int) -> list[float]:
    """Return the share of the `k` nearest tokens of each query that are each source's.

    Tokens of one state are equally near: where not all of them are among the k, they share the votes that are left.

    Args:
        queries: states, float32 [q, width].
        n_queries: tokens of each, int64 [q].
        keys: states, float32 [m, width].
        n_keys: tokens of each source of that state, int64 [m, sources]; at least one a row.
        k: of all tokens, if there are fewer.
    """
    import torch

    from compute.embeddings.neighbours import top_k

    _, nearest = top_k(queries, keys, k)  # each has a token at least
    nearest = nearest.cpu()
    tokens = n_keys.sum(1)[nearest]
    taken = (k - (tokens.cumsum(1) - tokens)).clamp(min=0).minimum(tokens)
    votes = torch.zeros(len(keys), dtype=torch.float64)
    votes.index_add_(0, nearest.flatten(), (taken.double() / tokens * n_queries[:, None]).flatten())
    won = votes @ n_keys.double()
    return [float(share) for share in won / won.sum()]
