"""Retrieval across languages against naive implementations, and the collections it reads."""

from __future__ import annotations

import gzip
import json
import math
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import average_precision_score

from compute.catalog import MIRROR_VARIABLE
from compute.embeddings.downstream.agg_idf import WeightedAverages
from compute.embeddings.downstream.classifiers import RetrievalModel
from compute.embeddings.downstream.clef import Clef
from compute.embeddings.downstream.ntrex import Ntrex
from compute.embeddings.downstream.own_files import OwnSearch
from compute.embeddings.downstream.precision import average_precision
from compute.embeddings.downstream.query_likelihood import QueryLikelihood, log_likelihoods, translations
from compute.embeddings.downstream.xquad import Xquad
from compute.embeddings.vectors import Vectors
from compute.errors import UserError
from tests.helpers.translated import languages, word

MIRROR = Path(__file__).parents[4] / "shared" / "data"
WITH_MIRROR = pytest.mark.skipif(not MIRROR.is_dir(), reason=f"no mirror of public data at {MIRROR}")


# Average precision


@given(st.lists(st.tuples(st.integers(0, 6), st.booleans()), min_size=1, max_size=40))
def test_average_precision_is_scikit_learns_ties_included(documents: list[tuple[int, bool]]) -> None:
    scores, relevant = np.array([score / 3 for score, _ in documents]), np.array([right for _, right in documents])
    if relevant.any():
        found = average_precision(scores, np.flatnonzero(relevant).tolist())
        assert found == pytest.approx(average_precision_score(relevant, scores))


def test_average_precision_by_hand() -> None:
    # Ranked 1st and 3rd of four: (1/1 + 2/3) / 2.
    assert average_precision(np.array([0.9, 0.1, 0.5, 0.7]), [0, 2]) == pytest.approx(5 / 6)
    assert average_precision(np.zeros(5), [3]) == pytest.approx(1 / 5)


# Query likelihood

TEXTS = st.lists(st.lists(st.sampled_from("abcdef"), max_size=8), min_size=1, max_size=5)


@given(TEXTS, TEXTS, st.sampled_from([0.5, 10.0, 2_000.0]))
def test_query_likelihood_is_that_of_the_smoothed_model(
    queries: list[list[str]], documents: list[list[str]], mu: float
) -> None:
    collection = [term for document in documents for term in document]
    found = log_likelihoods(queries, documents, mu)
    assert found.shape == (len(queries), len(documents))
    for q, query in enumerate(queries):
        for d, document in enumerate(documents):
            naive = sum(
                math.log((document.count(t) + mu * collection.count(t) / len(collection)) / (len(document) + mu))
                for t in query
                if t in collection
            )
            assert found[q, d] == pytest.approx(naive)


def test_query_likelihood_by_hand() -> None:
    # p(b | C) = 1/4; the first document has it once in three words, the second not at all in one. mu = 2.
    found = log_likelihoods([["b", "b", "unseen"]], [["a", "a", "b"], ["a"]], 2.0)
    np.testing.assert_allclose(found, [[2 * math.log(1.5 / 5), 2 * math.log(0.5 / 3)]])


def test_a_query_word_becomes_its_nearest_or_stays_if_it_is_unknown() -> None:
    source = Vectors(["dog", "cat"], np.array([[1, 0.1], [0, 3]], dtype=np.float32))
    target = Vectors(["Katze", "Hund", "Welpe"], np.array([[0.1, 1], [9, 0], [0, -1]], dtype=np.float32))
    assert translations({"dog", "cat", "Panthers"}, source, target) == {"dog": "Hund", "cat": "Katze"}
    scores = QueryLikelihood().scores([["dog"], ["Panthers"]], [["Hund"], ["Panthers"]], source, target)
    assert scores.argmax(axis=1).tolist() == [0, 1]
    dropped = QueryLikelihood(unknown="drop").scores([["dog"], ["Panthers"]], [["Hund"], ["Panthers"]], source, target)
    np.testing.assert_allclose(dropped, [scores[0], [0, 0]])
    assert translations({"Panthers"}, source, target) == {}


# Weighted averages


def test_weighted_averages_are_cosines_of_idf_weighted_sums() -> None:
    english, german = languages(n=6, d=4)
    queries = [[word(0, "en"), word(1, "en"), "unknown"], [word(2, "en")]]
    documents = [[word(i, "de") for i in numbers] for numbers in ([0, 0, 3], [1, 3, 4], [5, 3])]
    unit = german.matrix / np.linalg.norm(german.matrix, axis=1, keepdims=True)
    # Words 0, 1, 4 and 5 are in one of three documents, word 3 in all.
    once, always = math.log(4), math.log(4 / 3)
    of_documents = [
        2 * once * unit[0] + always * unit[3],
        once * unit[1] + always * unit[3] + once * unit[4],
        once * unit[5] + always * unit[3],
    ]
    of_queries = [unit[0] + unit[1], unit[2]]
    naive = [[q @ d / np.linalg.norm(q) / np.linalg.norm(d) for d in of_documents] for q in of_queries]
    for weights in ("uniform", "idf"):  # the query's known words are each in one of two queries
        found = WeightedAverages(query_weights=weights).scores(queries, documents, english, german)
        np.testing.assert_allclose(found, naive, atol=1e-6)
    repeated = [[word(0, "en"), word(1, "en")], [word(1, "en")]]
    found = WeightedAverages().scores(repeated, documents, english, german)
    weighed = math.log(3) * unit[0] + math.log(3 / 2) * unit[1]
    naive = [weighed @ d / np.linalg.norm(weighed) / np.linalg.norm(d) for d in of_documents]
    np.testing.assert_allclose(found[0], naive, atol=1e-6)


MODELS = (QueryLikelihood(), WeightedAverages())


@pytest.mark.parametrize("model", MODELS, ids=lambda one: type(one).__name__)
@pytest.mark.parametrize("right", [True, False])
def test_documents_are_found_where_the_map_is_right_and_guessed_where_it_is_not(
    model: RetrievalModel, right: bool
) -> None:
    english, german = languages(right=right)
    rng = np.random.default_rng(1)
    meant = rng.integers(200, size=(40, 15))
    documents = [[word(i, "de") for i in numbers] for numbers in meant]
    queries = [[word(i, "en") for i in rng.choice(numbers, 10, replace=False)] for numbers in meant]
    scores = model.scores(queries, documents, english, german)
    found = np.mean([average_precision(scores[i], [i]) for i in range(40)])
    assert found > 0.85 if right else found < 0.25


@pytest.mark.parametrize("model", MODELS, ids=lambda one: type(one).__name__)
def test_queries_and_documents_without_known_words_are_scored(model: RetrievalModel) -> None:
    english, german = languages(n=6, d=4)
    known = [word(0, "en")], [word(0, "de")]
    scores = model.scores([["?"], [], known[0]], [["!"], [], known[1]], english, german)
    assert np.isfinite(scores).all()
    assert scores[2].argmax() == 2
    # Nothing is known of the query: average precision is that of a guess.
    assert average_precision(scores[0], [2]) == pytest.approx(1 / 3)


# Collections


@WITH_MIRROR
def test_xquad_and_ntrex_as_published(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(MIRROR_VARIABLE, str(MIRROR))
    xquad = Xquad().search("de", "en")
    assert (len(xquad.queries), len(xquad.documents)) == (1_190, 240)
    assert xquad.queries[0].startswith("Wie viele Punkte gab die Verteidigung")
    assert xquad.documents[xquad.relevant[0][0]].startswith("The Panthers defense gave up just 308 points")
    ntrex = Ntrex().search("fi", "hr")
    assert (len(ntrex.queries), len(ntrex.documents)) == (1_997, 123)
    assert {len(places) for places in ntrex.relevant} == {1}
    own = Ntrex().search("hr", "hr")
    assert all(query in own.documents[places[0]] for query, places in zip(own.queries, own.relevant, strict=True))


def test_what_the_collections_have_is_known_without_files() -> None:
    assert Xquad().covers("de", "tr") and not Xquad().covers("de", "fi")
    assert Ntrex().covers("hr", "fi") and not Ntrex().covers("es", "fi")
    assert len({Xquad().digest(*pair) for pair in (("de", "en"), ("en", "de"), ("de", "ru"))}) == 3


@pytest.fixture
def clef(tmp_path: Path) -> Path:
    """Two newspapers, one of them zipped and in Latin-1, topics, and judgements."""
    for name in ("documents/de/sda", "documents/de/fr", "topics", "qrels"):
        (tmp_path / name).mkdir(parents=True)
    sda = "<DOC>\n<DOCNO>SDA.1</DOCNO>\n<DATE>Nie</DATE><TI>Der Wein</TI><TX>Ein <P>süßer &amp; roter</P></TX></DOC>"
    (tmp_path / "documents/de/sda/94.sgml.gz").write_bytes(gzip.compress(sda.encode("latin-1")))
    others = "".join(f"<DOC><DOCNO> FR-{i} </DOCNO><TEXT>Bericht {i}</TEXT></DOC>\n" for i in range(3))
    (tmp_path / "documents/de/fr/1.sgml").write_text(others, encoding="utf-8")
    topics = [
        "<top><num> C141 </num><EN-title> Wine </EN-title><EN-desc> Red wine. </EN-desc><EN-narr>No.</EN-narr></top>",
        "<top><num>C143</num><EN-title>Report</EN-title><EN-desc>Reports.</EN-desc></top>",
    ]
    (tmp_path / "topics/en_topics.xml").write_text("\n".join(topics))
    (tmp_path / "qrels/de").write_text("141 0 SDA.1 1\n141 0 FR-0 0\n141 0 FR-2 1\n143 0 FR-1 0\n141 0 ELSE.1 1\n")
    return tmp_path


def test_clef_is_read_as_distributed(clef: Path) -> None:
    assert Clef(clef).covers("en", "de") and not Clef(clef).covers("de", "en")
    found = Clef(clef).search("en", "de")
    assert found.query_ids == ["141"]  # 143 has no relevant document
    assert found.queries[0].split() == ["Wine", "Red", "wine."]
    assert found.document_ids == ["FR-0", "FR-1", "FR-2", "SDA.1"]
    assert found.documents[3].split() == ["Der", "Wein", "Ein", "süßer", "&", "roter"]
    assert found.relevant == [[2, 3]]


def test_what_is_wrong_in_a_clef_folder_is_told_with_its_place(clef: Path) -> None:
    judgements = clef / "qrels" / "de"
    before = Clef(clef).digest("en", "de")
    judgements.write_text("143 0 FR-0 0\n")
    assert Clef(clef).digest("en", "de") != before
    with pytest.raises(UserError, match="none of 2 topics in en has a relevant document among 4 in de"):
        Clef(clef).search("en", "de")
    judgements.write_text("141 0 SDA.1 1\n141 SDA.1\n")
    with pytest.raises(UserError, match=r"de, row 2: expected `topic 0 document 0\|1`, found '141 SDA\.1'"):
        Clef(clef).search("en", "de")
    (clef / "documents/de/fr/1.sgml").write_text("<DOC><TEXT>x</TEXT></DOC>")
    with pytest.raises(UserError, match=r"1\.sgml: a <DOC> without a <DOCNO>"):
        Clef(clef).search("en", "de")
    (clef / "documents/de/fr/1.sgml").unlink()
    for damaged in (b"no gzip", gzip.compress(b"")[:10] + b"\xff" * 20, gzip.compress(b"<DOC>" * 99)[:-9]):
        (clef / "documents/de/sda/94.sgml.gz").write_bytes(damaged)
        with pytest.raises(UserError, match=r"94\.sgml\.gz: cannot be read"):
            Clef(clef).search("en", "de")


def test_own_queries_name_documents_that_are_there(tmp_path: Path) -> None:
    for language, name, record in (
        ("en", "queries", {"item_id": "q", "text": "wine", "relevant": ["2", "1"]}),
        ("de", "documents", {"item_id": 1, "text": "Wein"}),
        ("de", "documents", {"item_id": 2, "text": "Rotwein"}),
    ):
        (tmp_path / language).mkdir(exist_ok=True)
        with open(tmp_path / language / f"{name}.jsonl", "a") as file:
            file.write(json.dumps(record) + "\n")
    collection = OwnSearch(tmp_path)
    assert collection.covers("en", "de") and not collection.covers("de", "en")
    assert collection.search("en", "de").relevant == [[0, 1]]
    queries = tmp_path / "en" / "queries.jsonl"
    queries.write_text(queries.read_text().replace('"2"', '"12"'))
    with pytest.raises(UserError, match=r"queries\.jsonl, row 1: relevant: unknown document '12'; did you mean '2'"):
        collection.search("en", "de")
    queries.write_text('{"item_id": "q", "text": "wine", "relevant": []}')
    with pytest.raises(UserError, match="expected the id of a document or more, found none"):
        collection.search("en", "de")
