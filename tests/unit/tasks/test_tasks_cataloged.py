"""The readers of cataloged files, on small files of the same form."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path

import pytest

from compute.catalog import MIRROR_VARIABLE
from compute.errors import UserError
from compute.names import UnknownName
from compute.tasks import SPLITS, TASKS, Generation, Question, load_task
from compute.tasks.arithmetic import ARITHMETIC
from compute.tasks.cataloged import CatalogedTask
from compute.tasks.causal import CAUSAL
from compute.tasks.core_grid import CoreGridTask
from compute.tasks.order import fair_order
from compute.tasks.pos import POS, split_documents
from compute.tasks.sentiment import SENTIMENT
from compute.tasks.topic import TOPIC

Write = Callable[[str, str], Path]
MIRROR = Path(__file__).parents[3].parent / "shared" / "data"
CATALOGUED = [name for name in TASKS if isinstance(load_task(name), CatalogedTask)]


@pytest.fixture
def write(tmp_path: Path) -> Write:
    def write_text(name: str, text: str) -> Path:
        path = tmp_path / name
        path.write_text(text, encoding="utf-8", newline="")
        return path

    return write_text


def questions(task: CatalogedTask, language: str, *paths: Path) -> Mapping[str, list[Question]]:
    splits = task.read(language, paths)
    task.check(splits)
    return {split: [question for question, _ in located] for split, located in splits.items()}


@pytest.mark.parametrize("name", CATALOGUED)
def test_a_task_is_planned_without_its_files(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(MIRROR_VARIABLE, "/no/such/place")
    task = load_task(name)
    digests = {task.digest(language) for language in task.languages}
    assert len(digests) == len(task.languages)
    with pytest.raises(UnknownName, match=f"language '.*' of task '{name}'"):
        task.digest("xx")
    with pytest.raises(UnknownName, match=f"language '.*' of task '{name}'"):
        task.questions("xx", "test")
    with pytest.raises(UserError, match="TRANSFER_MIRROR"):
        task.questions(task.languages[0], "test")


@pytest.mark.parametrize("name", CATALOGUED)
def test_how_many_questions_there_are_is_known_without_the_files(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(MIRROR_VARIABLE, "/no/such/place")
    task = load_task(name)
    for language in task.languages:
        sizes = [task.size(language, split) for split in SPLITS]
        assert None not in sizes, language
        assert [bool(size) for size in sizes] == [split in task.splits for split in SPLITS]
    changed = replace(task, revision=99)
    assert changed.size(task.languages[0], "test") == (400 if isinstance(task, CoreGridTask) else None)


@pytest.mark.skipif(not MIRROR.is_dir(), reason="the mirror of public data is not beside the project")
@pytest.mark.parametrize("name", [n for n in CATALOGUED if not isinstance(load_task(n), CoreGridTask)])
def test_there_are_as_many_questions_as_is_known(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(MIRROR_VARIABLE, str(MIRROR))
    task = load_task(name)
    for language in task.languages:
        for split in SPLITS:
            assert task.size(language, split) == len(task.questions(language, split)), (language, split)


@pytest.mark.parametrize("name", CATALOGUED)
def test_a_choice_task_can_be_put_in_two_ways(name: str) -> None:
    task = load_task(name)
    if task.kind == "choice":
        assert [(prompt.id, prompt.style) for prompt in task.prompts] == [("cloze", "cloze"), ("lettered", "lettered")]
    else:
        assert task.generation is not None and task.splits == ("test",)


def test_the_first_questions_are_the_same_sample_in_every_language() -> None:
    german = [Question(f"de{number}", str(number), {}, ("a", "b"), 0) for number in range(50)]
    french = [Question(f"fr{number}", str(number), {}, ("a", "b"), 1) for number in reversed(range(50))]
    assert [one.parallel_id for one in fair_order(german)] == [one.parallel_id for one in fair_order(french)]
    assert {one.parallel_id for one in fair_order(german)[:10]} != {str(number) for number in range(10)}


def test_topic_reads_quoted_cells(write: Write) -> None:
    head = "index_id\tcategory\ttext\n"
    paths = [
        write(f"{split}.tsv", f'{head}{split}\tsports\t"Er sagte: ""Tor!"""\nx{split}\thealth\tGesund.\n')
        for split in SPLITS
    ]
    found = questions(TOPIC, "de", *paths)["test"]
    assert [(one.fields["text"], one.choices[one.gold]) for one in found] == [
        ('Er sagte: "Tor!"', "sports"),
        ("Gesund.", "health"),
    ]
    assert TOPIC.prompt().item(found[1]).context == "Text: Gesund.\nTopic:"
    for damaged, complaint in (
        (f"{head}1\tsport\tTor\n", "row 2: unknown topic 'sport'; did you mean 'sports'"),
        (f"{head}1\tTor\n", r"row 2: expected 3 cells \(index_id, category, text\), found 2"),
        ("id\tcategory\ttext\n", "row 1: expected the columns index_id, category, text; found id, category, text"),
        (f"{head}1\tsports\t \n", "row 2: text is empty"),
        (f"{head}dev\tsports\tTor\n", r"row 2: item_id 'dev' is also in \S+dev.tsv, row 2: dev and test overlap"),
    ):
        with pytest.raises(UserError, match=rf"test\.tsv, {complaint}"):
            questions(TOPIC, "de", *paths[:2], write("test.tsv", damaged))


def test_sentiment_reads_texts_beside_labels(write: Write) -> None:
    texts, labels = write("t.txt", "schön\nna ja \u2028gut\n"), write("l.txt", "2\n1\n")
    paths = [texts, labels] * 3
    assert [(one.item_id, one.fields["text"], one.gold) for one in questions(SENTIMENT, "de", *paths)["dev"]] == [
        ("dev-1", "schön", 2),
        ("dev-2", "na ja \u2028gut", 1),
    ]
    with pytest.raises(UserError, match=r"l\.txt, row 2: expected 0, 1 or 2, found '3'"):
        questions(SENTIMENT, "de", *paths[:4], texts, write("l.txt", "2\n3\n"))
    with pytest.raises(UserError, match=r"t\.txt, row 2: \S+l\.txt has no such row"):
        questions(SENTIMENT, "de", *paths[:4], texts, write("l.txt", "2\n"))


def causal_rows(relation: str, number: int, premise: str) -> str:
    rows = (
        {"premise": f"{premise} {n}", "choice1": "a", "choice2": "b", "question": relation, "label": n % 2, "idx": n}
        for n in range(number)
    )
    return "".join(json.dumps(row) + "\n" for row in rows)


def test_causal_takes_relations_from_a_language_that_has_them_right_and_splits_val_alike(write: Write) -> None:
    relations = [
        write("val.et.jsonl", causal_rows("cause", 100, "et")),
        write("test.et.jsonl", causal_rows("cause", 9, "et")),
    ]
    dev = set()
    for language in ("th", "tr"):
        own = [
            write(f"val.{language}.jsonl", causal_rows("effect", 100, language)),
            write(f"test.{language}.jsonl", causal_rows("effect", 9, language)),
        ]
        found = questions(CAUSAL, language, *own, *relations)
        assert [len(found[split]) for split in SPLITS] == [80, 20, 9]
        assert CAUSAL.prompt().item(found["test"][1]).context == f"{language} 1\nCause:"
        assert found["test"][1].gold == 1
        dev.add(frozenset(question.parallel_id for question in found["dev"]))
    assert len(dev) == 1


def test_arithmetic_has_one_right_answer(write: Write) -> None:
    path = write("mgsm.tsv", 'Was ist 2000 + 125?\t2,125\n"Ja" und 1?\t1\n')
    first, second = questions(ARITHMETIC, "de", path)["test"]
    assert (first.choices, first.gold, first.parallel_id) == (("2125",), 0, "1")
    assert second.fields["problem"] == '"Ja" und 1?'
    with pytest.raises(UserError, match=r"row 1: answer: expected a number, found 'viel'"):
        questions(ARITHMETIC, "de", write("mgsm.tsv", "Wie viel?\tviel\n"))


def sentence(sent_id: str, *words: str) -> str:
    """CoNLL-U of words given as form/UPOS, `+` at the end where no space follows; a form with `-` is a contraction."""
    lines, number = [f"# sent_id = {sent_id}"], 0
    for word in words:
        form, tag = word.rstrip("+").split("/")
        misc = "SpaceAfter=No" if word.endswith("+") else "_"
        if tag == "2":
            lines.append(f"{number + 1}-{number + 2}\t{form}" + "\t_" * 7 + f"\t{misc}")
            lines += [f"{number + part}\t{form[part - 1 :]}\t_\tADP\t_\t_\t0\troot\t_\t_" for part in (1, 2)]
            number += 2
        else:
            number += 1
            lines.append(f"{number}\t{form}\t_\t{tag}\t_\t_\t0\troot\t_\t{misc}")
    return "\n".join(lines) + "\n\n"


def test_pos_marks_only_words_that_stand_free(write: Write) -> None:
    glued = sentence("n01001011", "im/2", "l'/DET+", "eau/NOUN", "12/NOUN", "(/PUNCT+", "Haus/NOUN+", ")/PUNCT")
    nothing = sentence("n01001012", "l'/PRON+", "a/AUX+", "./PUNCT")
    found = [one for split in questions(POS, "fr", write("x.conllu", glued + nothing)).values() for one in split]
    assert [(one.item_id, one.fields["word"], one.choices[one.gold]) for one in found] == [
        ("n01001011", "Haus", "noun")
    ]
    assert found[0].fields["sentence"] == "im l'eau 12 ([Haus])"


def test_pos_asks_for_classes_in_turn_and_the_rare_one_where_it_can(write: Write) -> None:
    words = ("A/NOUN", "B/PROPN", "c/VERB", "d/AUX", "e/ADJ", "f/ADV", "g/PRON", "h/ADP")
    text = "".join(
        sentence(f"n{number:05d}011", *(word for word in words if number % 5 == 0 or not word.endswith("AUX")))
        for number in range(800)
    )
    found = questions(POS, "de", write("x.conllu", text))
    for split in SPLITS:
        shares = [sum(one.gold == gold for one in found[split]) / len(found[split]) for gold in range(8)]
        assert min(shares) > 0.07 and max(shares) < 0.15, (split, shares)


def test_pos_splits_whole_documents_and_every_language_alike() -> None:
    ids = [f"n{document:05d}{number:03d}" for document in range(400) for number in range(1 + document % 5)]
    split_of = split_documents(ids)
    assert split_of == split_documents(ids[::-1])
    sizes = [sum(split == name for split in split_of.values()) for name in SPLITS]
    assert 300 <= sizes[2] < 305 and 100 <= sizes[1] < 105
    assert all(len({split_of[one] for one in ids if one[:6] == document}) == 1 for document in {one[:6] for one in ids})


def test_pos_refuses_what_is_not_conll_u(write: Write) -> None:
    good = sentence("n01001011", "A/NOUN")
    with pytest.raises(UserError, match=r"x\.conllu, row 5: expected 10 cells of CoNLL-U a word, found"):
        questions(POS, "de", write("x.conllu", good + "\n1\tnur\tdas\n\n"))
    with pytest.raises(UserError, match=r"x\.conllu, row 4: a sentence without a sent_id"):
        questions(POS, "de", write("x.conllu", good + good.replace("# sent_id = n01001011", "# text = A")))


def test_a_generation_with_settings_can_be_a_key() -> None:
    one = Generation(stop=("\n",), max_new_tokens=8, answer="final_number", settings={"repetition_penalty": 1.2})
    assert {one: 1}[one] == 1
