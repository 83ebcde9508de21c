"""What can be set about a model: its architecture, its pre-training and its fine-tuning by LoRA."""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal

from pydantic import Field, field_validator, model_validator

from compute.names import UnknownName
from compute.numeral_words import NUMERAL_LANGUAGES
from compute.values import Section

Family = Literal["llama", "qwen2", "qwen3", "gpt_neox"]


class Architecture(Section):
    """A decoder to be made from scratch."""

    family: Family = Field(description="the transformers architecture")
    hidden_size: int = Field(ge=8, le=8192, description="width of the residual stream")
    layers: int = Field(ge=1, le=128, description="number of blocks")
    heads: int = Field(ge=1, le=128, description="attention heads; divides hidden_size")
    intermediate_size: int = Field(ge=8, le=32768, description="width of the feed-forward layer")
    max_tokens: int = Field(default=256, ge=16, le=131072, description="longest input, in tokens")

    @model_validator(mode="after")
    def _heads_are_even_parts(self) -> Architecture:
        if self.hidden_size % (2 * self.heads):
            raise ValueError(
                f"hidden_size {self.hidden_size} must be a multiple of twice the heads ({self.heads}): rotary "
                "position embeddings need an even number of dimensions a head"
            )
        return self


class Pretraining(Section):
    """How a model is trained from scratch, and on which text.

    The text is that of the numerals world, or that of tasks, be they in the study's grid or not: the texts of all
    their training questions, and `examples` of them as put to the model, with their answers.
    """

    corpus: Literal["numerals", "tasks"] = Field(default="numerals", description="the text trained on")
    languages: tuple[str, ...] = Field(min_length=1, description="languages of the text")
    tasks: tuple[str, ...] = Field(default=(), description="corpus tasks: whose training questions are read")
    readings: int = Field(default=2, ge=0, description="numerals: times a training number is read, a language")
    counting: int = Field(default=200, ge=0, description="numerals: counting documents a language")
    examples: int = Field(default=20, ge=0, description="labelled examples of each task, a language")
    vocabulary_size: int = Field(default=384, ge=258, le=65536, description="entries of the byte-level BPE")
    block_tokens: int = Field(default=64, ge=8, description="tokens of a packed block")
    batch_tokens: int = Field(default=4096, ge=8, description="tokens of a step")
    steps: int = Field(ge=1, description="optimiser steps")
    learning_rate: float = Field(default=3e-3, gt=0, description="peak of the cosine schedule")
    warmup: float = Field(default=0.05, ge=0, lt=1, description="share of the steps that warm up")
    weight_decay: float = Field(default=0.1, ge=0, description="AdamW's, on matrices only")
    max_grad_norm: float = Field(default=1.0, gt=0, description="gradients are clipped to this norm")
    log_every: int = Field(default=50, ge=1, description="steps between rows of the training log")
    seed: int = Field(default=0, ge=0, lt=2**32, description="of weights, text and order")

    @property
    def cells(self) -> list[tuple[str, str]]:
        """(task, language) of the questions read; none in the numerals world."""
        return [(task, language) for task in self.tasks for language in self.languages]

    @field_validator("languages")
    @classmethod
    def _languages_differ(cls, languages: tuple[str, ...]) -> tuple[str, ...]:
        if len(set(languages)) < len(languages):
            raise ValueError(f"a language is named twice: {', '.join(languages)}")
        return languages

    @model_validator(mode="after")
    def _corpus_has_its_parts(self) -> Pretraining:
        if self.corpus == "tasks":
            if not self.tasks:
                raise ValueError("corpus: tasks needs `tasks`, whose training questions are read")
            return self
        if self.tasks:
            raise ValueError("`tasks` belong to corpus: tasks")
        for language in self.languages:
            if language not in NUMERAL_LANGUAGES:
                raise UnknownName("language of the numerals world", language, NUMERAL_LANGUAGES)
        return self

    @model_validator(mode="after")
    def _batch_holds_a_block(self) -> Pretraining:
        if self.batch_tokens < self.block_tokens:
            raise ValueError(f"batch_tokens {self.batch_tokens} is less than block_tokens {self.block_tokens}")
        return self


class Lora(Section):
    """A LoRA adapter (Hu et al., arXiv 2106.09685) and how it is trained."""

    other_names: ClassVar[dict[str, str]] = {
        "r": "rank",
        "lora_rank": "rank",
        "lora_alpha": "alpha",
        "lora_dropout": "dropout",
        "use_rslora": "rs_lora",
        "use_dora": "dora",
        "num_train_epochs": "epochs",
        "per_device_train_batch_size": "batch_size",
        "lr": "learning_rate",
        "warmup_ratio": "warmup",
        "load_best_model_at_end": "best_checkpoint",
    }
    """What PEFT and transformers call what is set here."""

    rank: int = Field(default=8, ge=1, le=1024, description="rank r of the update")
    alpha: float = Field(default=16, gt=0, description="the update is scaled by alpha / r")
    rs_lora: bool = Field(default=False, description="scale by alpha / sqrt(r) instead (arXiv 2312.03732)")
    dora: bool = Field(default=False, description="train each output's magnitude too (DoRA, arXiv 2402.09353)")
    target_modules: Annotated[tuple[str, ...], Field(min_length=1)] | Literal["all-linear"] = Field(
        default="all-linear", description="endings of the names of the linear layers adapted; all but the output layer"
    )
    dropout: float = Field(default=0.0, ge=0, lt=1, description="dropout on the adapter's input")
    epochs: int = Field(default=3, ge=1, description="passes over the source's items")
    batch_size: int = Field(default=16, ge=1, description="items of a step")
    learning_rate: float = Field(default=2e-3, gt=0, description="peak; decays linearly to zero")
    warmup: float = Field(default=0.05, ge=0, lt=1, description="share of the steps that warm up linearly")
    weight_decay: float = Field(default=0.0, ge=0, description="AdamW's")
    max_grad_norm: float = Field(default=1.0, gt=0, description="each adapter's gradient is clipped to this norm")
    best_checkpoint: bool = Field(
        default=False, description="keep the epoch of least dev loss; not with a placebo, which would be selected too"
    )
    score_at: tuple[Annotated[float, Field(gt=0, le=1)], ...] = Field(
        default=(), description="parts of the training's steps after which the adapter is scored too, such as 0.5"
    )

    @field_validator("score_at")
    @classmethod
    def _fractions_differ(cls, fractions: tuple[float, ...]) -> tuple[float, ...]:
        if list(fractions) != sorted(set(fractions)):
            raise ValueError(f"expected fractions that rise, found {', '.join(map(str, fractions))}")
        return fractions

    @property
    def fractions(self) -> tuple[float, ...]:
        """Parts of the training after which the adapter is scored beside the whole of it."""
        return tuple(fraction for fraction in self.score_at if fraction < 1)

    @property
    def scaling(self) -> float:
        """Return what the product B A is multiplied by."""
        return self.alpha / (self.rank**0.5 if self.rs_lora else self.rank)
