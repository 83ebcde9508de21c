"""Task `pos`: the part of speech of a marked word (Parallel Universal Dependencies; Zeman et al., CoNLL 2017).

PUD has the same 1,000 sentences, of news and Wikipedia, in every language and one split only. It is split anew by
document (the first six characters of a `sent_id`), so that no sentence is in two splits, in any language, and no
neighbour of a test sentence is trained on.

One word of each sentence is asked about, by a rule that knows no language:

* Candidates are words of the eight classes below that stand free in the text: not part of a contraction (a
  multi-word token) nor written together with another word, so that what is marked is what is annotated. Determiners,
  conjunctions and particles are left out: Finnish has no determiners, Turkish hardly a subordinating conjunction,
  and those of Arabic are mostly written together with the next word. Numerals are left out because most are digits.
* The class asked for rotates over the sentences, in a random order that is the same in all languages. Where a
  sentence has no candidate of that class, or has one of a class that lags `SLACK` questions behind, the class least
  asked about so far is taken.
* Among a sentence's candidates of the class a hash of sentence and position decides.

So the classes are nearly balanced in every language and split (10.9 to 13.2 % each in test, where chance is 12.5 %),
and two languages ask for the same class in 58 % of the sentences. `parallel_id` is the `sent_id`: the sentence is the
same everywhere, the marked word is a word of its own in each, but difficulty comes with the sentence and must be
resampled with it.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain
from pathlib import Path

import conllu

from compute.catalog import CatalogedFile, find
from compute.errors import UserError
from compute.tasks.cataloged import CatalogedTask
from compute.tasks.checks import Located
from compute.tasks.order import stable_hash
from compute.tasks.reading import Place, read_lines
from compute.tasks.task import Prompt, Question, Split

CLASSES = {
    "NOUN": "noun", "PROPN": "proper noun", "VERB": "verb", "AUX": "auxiliary", "ADJ": "adjective", "ADV": "adverb",
    "PRON": "pronoun", "ADP": "adposition",
}  # fmt: skip
"""UPOS tag -> the choice."""

TREEBANKS = {
    "ar": "Arabic", "de": "German", "en": "English", "es": "Spanish", "fi": "Finnish", "fr": "French", "hi": "Hindi",
    "it": "Italian", "pt": "Portuguese", "ru": "Russian", "tr": "Turkish",
}  # fmt: skip
TEST_SENTENCES, DEV_SENTENCES = 300, 100
"""At least so many; documents are kept whole."""
SLACK = 3
"""Without it rare classes starve (Hindi adverbs: 4 % of test); much less, and languages ask for different classes."""

_TAGS = tuple(CLASSES)
_CONLLU_COLUMNS = 10


@dataclass(frozen=True)
class Word:
    """A word as it stands in the text.

    Attributes:
        form: its letters.
        tag: UPOS; of a multi-word token none.
        glued: whether the next one follows without a space.
    """

    form: str
    tag: str | None
    glued: bool


@dataclass(frozen=True, kw_only=True)
class PartOfSpeech(CatalogedTask):
    """A sentence with one word in square brackets, which no sentence of PUD has, and eight classes."""

    def sources(self, language: str) -> tuple[CatalogedFile, ...]:
        return (find(f"UniversalDependencies/UD_{TREEBANKS[language]}-PUD", f"{language}_pud-ud-test.conllu"),)

    def read(self, language: str, paths: Sequence[Path]) -> Mapping[Split, list[Located]]:
        sentences = dict(_sentences(paths[0]))
        split_of = split_documents(list(sentences))
        splits: dict[Split, list[Located]] = {"train": [], "dev": [], "test": []}
        asked = {split: Counter[str]() for split in splits}
        turns: Counter[Split] = Counter()  # sentences, asked about or not: the same in every language
        for sent_id in sorted(sentences, key=stable_hash):
            split = split_of[sent_id]
            words, place = sentences[sent_id]
            wanted = _TAGS[turns[split] % len(_TAGS)]
            turns[split] += 1
            chosen = choose_word(sent_id, words, wanted, asked[split])
            if chosen is None:
                continue
            position, tag = chosen
            asked[split][tag] += 1
            fields = {"sentence": _marked(words, position), "word": words[position].form}
            question = Question(sent_id, sent_id, fields, tuple(CLASSES.values()), _TAGS.index(tag))
            splits[split].append((question, place))
        return splits


def split_documents(sent_ids: Sequence[str]) -> dict[str, Split]:
    """Return the split of each sentence: whole documents, drawn by hash, until test and then dev have enough
    sentences."""
    by_document: dict[str, list[str]] = {}
    for sent_id in sent_ids:
        by_document.setdefault(sent_id[:6], []).append(sent_id)
    split_of: dict[str, Split] = {}
    sizes: Counter[Split] = Counter()
    for document in sorted(by_document, key=stable_hash):
        split: Split = "test" if sizes["test"] < TEST_SENTENCES else "dev" if sizes["dev"] < DEV_SENTENCES else "train"
        sizes[split] += len(by_document[document])
        split_of.update(dict.fromkeys(by_document[document], split))
    return split_of


def choose_word(sent_id: str, words: Sequence[Word], wanted: str, asked: Counter[str]) -> tuple[int, str] | None:
    """Position and tag of the word to ask about; None if the sentence has no candidate.

    Args:
        wanted: the tag whose turn it is.
        asked: how often each tag has been asked about.
    """
    candidates: dict[str, list[int]] = {}
    for position, word in enumerate(words):
        if word.tag in CLASSES and _stands_free(words, position):
            candidates.setdefault(word.tag, []).append(position)
    if not candidates:
        return None
    tag = min(candidates, key=lambda tag: (asked[tag], _TAGS.index(tag)))
    if wanted in candidates and asked[wanted] - asked[tag] < SLACK:
        tag = wanted
    return min(candidates[tag], key=lambda position: stable_hash(sent_id, str(position))), tag


def _stands_free(words: Sequence[Word], position: int) -> bool:
    """Return whether nothing but punctuation is written together with the word."""
    before = position == 0 or not words[position - 1].glued or words[position - 1].tag == "PUNCT"
    after = position + 1 == len(words) or not words[position].glued or words[position + 1].tag == "PUNCT"
    return before and after and any(char.isalpha() for char in words[position].form)


def _marked(words: Sequence[Word], marked: int) -> str:
    forms = [f"[{word.form}]" if position == marked else word.form for position, word in enumerate(words)]
    return "".join(form + " " * (not word.glued) for form, word in zip(forms, words, strict=True)).strip()


def _sentences(path: Path) -> Iterator[tuple[str, tuple[list[Word], Place]]]:
    """Yield each sentence's id, words and first row, of a file in CoNLL-U. Raises UserError for what is not."""
    rows, start = list[str](), None
    for place, line in chain(read_lines(path), [(Place(path, 0), "")]):
        if line.strip():
            start = start or place
            rows.append(line)
        elif start is not None:
            yield _sentence("\n".join(rows), start)
            rows, start = [], None


def _sentence(text: str, place: Place) -> tuple[str, tuple[list[Word], Place]]:
    try:
        (sentence,) = conllu.parse(text)
    except (conllu.exceptions.ParseException, ValueError) as error:
        raise UserError(f"{place}: not a sentence of CoNLL-U: {error}") from None
    words, inside = list[Word](), 0
    for token in sentence:
        number = token.get("id")
        if len(token) != _CONLLU_COLUMNS or number is None:
            raise UserError(f"{place}: expected {_CONLLU_COLUMNS} cells of CoNLL-U a word, found {dict(token)!r:.60}")
        glued = (token["misc"] or {}).get("SpaceAfter") == "No"
        if isinstance(number, int):
            if number > inside:
                words.append(Word(token["form"], token["upos"], glued))
        elif number[1] == "-":  # a contraction: its words follow, and are not in the text; the others are empty words
            inside = number[2]
            words.append(Word(token["form"], None, glued))
    if not sentence.metadata.get("sent_id"):
        raise UserError(f"{place}: a sentence without a sent_id")
    return sentence.metadata["sent_id"], (words, place)


POS = PartOfSpeech(
    name="pos",
    prompts=(
        Prompt("cloze", "Sentence: {sentence}\nPart of speech of [{word}]:"),
        Prompt(
            "lettered",
            "Sentence: {sentence}\nWhat is the part of speech of [{word}]?\n{options}\nAnswer:",
            style="lettered",
        ),
    ),
    chance=1 / len(CLASSES),
    languages=tuple(TREEBANKS),
    licence="CC-BY-SA-3.0 AND CC-BY-SA-4.0",
    source_url="https://universaldependencies.org",
)
