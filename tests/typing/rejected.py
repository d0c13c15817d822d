"""Wrong calls: mypy and pyright must reject each, and each raises when it is run.

Each has a comment that silences both.  One that silences nothing is an error, so a wrong call that a checker accepts
fails the test.
"""

# pyright: strict, reportUnnecessaryTypeIgnoreComment=true

from __future__ import annotations

import numpy as np

import fastsoftmax as fs
from fastsoftmax import schedules

row = np.zeros(4)
rows = np.zeros((2, 4), np.float32)


def misspelled_choice() -> None:
    fs.sample(row, on_invalid="rise")  # type: ignore


def misspelled_choice_of_a_sampler() -> None:
    fs.Sampler(on_invalid="ignore")  # type: ignore


def misspelled_filter() -> None:
    fs.sample(row, top_q=3)  # type: ignore


def misspelled_filter_of_a_sampler() -> None:
    fs.Sampler(topk=3)  # type: ignore


def misspelled_penalty() -> None:
    fs.penalize(row, [0], repitition=1.2)  # type: ignore


def misspelled_step_of_the_order() -> None:
    fs.truncate(row, order=("topk",), top_k=2)  # type: ignore


def words_as_temperature() -> None:
    fs.softmax(row, "warm")  # type: ignore


def words_as_temperature_of_a_draw() -> None:
    fs.sample(rows, "0.7")  # type: ignore


def no_temperature() -> None:
    fs.logsumexp(row, None)  # type: ignore


def words_as_logits() -> None:
    fs.softmax("abc")  # type: ignore


def list_of_words_as_logits() -> None:
    fs.sample(["a", "b"])  # type: ignore


def no_schedule() -> None:
    fs.Sampler(schedules)  # type: ignore


def name_of_a_schedule() -> None:
    fs.Sampler("linear")  # type: ignore


def schedule_of_words() -> None:
    fs.Sampler(lambda step: "hot")(row)  # type: ignore


def schedule_without_a_step() -> None:
    fs.Sampler(no_step)(row)  # type: ignore


def no_step() -> float:
    return 1.0


def fraction_as_top_k() -> None:
    fs.sample(row, top_k=2.5)  # type: ignore


def fraction_as_size() -> None:
    fs.sample(row, size=2.0)  # type: ignore


def positional_axis() -> None:
    fs.softmax(row, 1.0, -1)  # type: ignore


def numbers_as_where() -> None:
    fs.softmax(row, where=[1.0, 0.0, 1.0, 1.0])  # type: ignore


def words_as_generator() -> None:
    fs.sample(row, rng="seed")  # type: ignore


def random_state_as_generator() -> None:
    fs.sample(row, rng=np.random.RandomState(0))  # type: ignore


def words_as_indices_of_a_bias() -> None:
    fs.sample(row, bias={"0": 1.0})  # type: ignore


def logits_and_probs() -> None:
    fs.Categorical(row, probs=row)  # type: ignore


def neither_logits_nor_probs() -> None:
    fs.Categorical()  # type: ignore


def draw_from_a_shard_without_uniforms() -> None:
    fs.sample_from_summary(row, fs.summarize(row), offset=0)  # type: ignore


def words_as_summary() -> None:
    fs.combine("summary")  # type: ignore


def fixed_attribute() -> None:
    fs.Sampler().axis = 0  # type: ignore


def words_as_attribute() -> None:
    fs.Sampler().top_p = "0.9"  # type: ignore


def unknown_attribute() -> None:
    fs.Sampler().topk = 3  # type: ignore


def number_of_threads_in_words() -> None:
    fs.set_num_threads("all")  # type: ignore
