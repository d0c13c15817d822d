"""The main job: the model against its formula, the measures, and that temperature does what is said."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest
from scipy.stats import chisquare

from fastsoftmax import Sampler, schedules
from fastsoftmax.demo import model as model_module
from fastsoftmax.demo import race as race_module
from fastsoftmax.demo.corpus import decode, documentation
from fastsoftmax.demo.measures import entropy_bits, known_words, measure, repeated_ngrams, words
from fastsoftmax.demo.model import DISCOUNT, MIN_COUNT, CharModel
from fastsoftmax.demo.race import contestants, race
from fastsoftmax.demo.report import TEMPERATURES, main_job
from fastsoftmax.demo.writing import rows_along, write

TEXT = "the cat sat on the mat; the rat ate the cat's hat.\n" * 3 + "that is that, ça va? 日本日本語\n"


def count(text: str, string: str) -> int:
    return sum(text.startswith(string, i) for i in range(len(text)))


def kept(text: str, context: str) -> bool:
    return context == "" or count(text[:-1], context) >= MIN_COUNT


def formula(text: str, context: str, symbol: str) -> float:
    """p(symbol | context) as the docstring of the model states it."""
    followers = Counter(
        text[i + len(context)] for i in range(len(text) - len(context)) if text.startswith(context, i)
    )
    total = sum(followers.values())
    shorter = formula(text, context[1:], symbol) if context else 1 / len(set(text))
    return (max(followers[symbol] - DISCOUNT, 0) + DISCOUNT * len(followers) * shorter) / total


def written(model: CharModel, sampler: Sampler, length: int, state: int = 0) -> tuple[list[int], int]:
    return write(model.logits, model.advance, sampler, length, state)


@pytest.fixture(scope="module")
def source() -> str:
    return documentation()


@pytest.fixture(scope="module")
def documented(source: str) -> CharModel:
    return CharModel(source)


@pytest.mark.parametrize("order", [0, 1, 2, 4])
def test_the_model_is_its_formula_in_every_context_of_the_text(order: int) -> None:
    model = CharModel(TEXT, order)
    contexts = {TEXT[i : i + n] for n in range(order + 1) for i in range(len(TEXT) - n)}
    contexts = {context for context in contexts if kept(TEXT, context)}
    assert model.states == len(contexts)
    for context in contexts:
        expected = [formula(TEXT, context, symbol) for symbol in model.alphabet]
        # float32 with one rounding for each context length
        np.testing.assert_allclose(model.probs(model.state_after(context)), expected, rtol=(order + 1) * 2e-7)


def test_the_state_is_that_of_the_longest_kept_context() -> None:
    model = CharModel(TEXT, 4)
    state = 0
    for i, character in enumerate(TEXT, 1):
        state = model.advance(state, model.alphabet.index(character))
        context = next(TEXT[j:i] for j in range(max(0, i - 4), i + 1) if kept(TEXT, TEXT[j:i]))
        assert state == model.state_after(context), (i, context)


def test_probabilities_are_float32_and_read_only_and_leave_no_symbol_out(documented: CharModel) -> None:
    for state in range(0, documented.states, 97):
        np.testing.assert_array_equal(documented.logits(state), np.log(documented.probs(state)))
        probs = documented.probs(state)
        assert probs.dtype == np.float32 and not probs.flags.writeable
        assert probs.min() > 0
        assert probs.sum(dtype=np.float64) == pytest.approx(1, abs=1e-6)


def test_a_symbol_never_seen_leads_back_to_the_empty_context() -> None:
    model = CharModel(TEXT, 3)
    assert model.state_after("the\N{SNOWMAN}") == 0
    assert model.state_after("\N{SNOWMAN}the") == model.state_after("the")


def test_a_full_table_of_rows_is_begun_anew(monkeypatch: pytest.MonkeyPatch) -> None:
    expected = CharModel(TEXT, 4)
    monkeypatch.setattr(model_module, "CACHED_NUMBERS", 5 * len(set(TEXT)))
    model = CharModel(TEXT, 4)
    for state in range(model.states):
        np.testing.assert_array_equal(model.probs(state), expected.probs(state))
        np.testing.assert_array_equal(model.logits(state), expected.logits(state))
        assert sum(row is not None for row in model._probs + model._logits) <= 5


def test_a_large_alphabet_does_not_overflow() -> None:
    rng = np.random.default_rng(0)
    text = "".join(map(chr, rng.integers(0x4E00, 0x9E00, 20_000))) * 2
    model = CharModel(text, 12)
    assert model.alphabet[int(model.probs(model.state_after(text[:12])).argmax())] == text[12]


@pytest.mark.parametrize(("text", "order"), [("", 0), ("abc", 3), ("abc", -1)])
def test_a_text_not_longer_than_the_order_is_rejected(text: str, order: int) -> None:
    with pytest.raises(ValueError, match="order"):
        CharModel(text, order)


def test_a_probability_that_underflows_is_silent() -> None:
    model = CharModel("b" + "a" * 100_000, 12)
    state = model.state_after("a" * 12)
    assert model.probs(state).tolist() == [1, 0]  # "a", then "b"
    symbols, _ = written(model, Sampler(0.7, rng=0), 20, state)
    assert measure(model, set(), symbols, state, 0.7).entropy == 0
    assert race(model, 0.5, seed=0, rounds=1)


def test_a_text_of_one_symbol_is_enough() -> None:
    model = CharModel("a", 0)
    assert written(model, Sampler(1.0, rng=0), 3)[0] == [0, 0, 0]


def test_progress_is_told_once_for_each_context_length() -> None:
    calls: list[None] = []
    CharModel(TEXT, 4, lambda: calls.append(None))
    assert len(calls) == 5


def test_decode_drops_the_byte_order_mark_and_unifies_line_ends() -> None:
    assert decode("\ufeffa\r\nb\rc\n\ufeff".encode()) == "a\nb\nc\n\ufeff"


def test_decode_tells_the_offset_in_bytes() -> None:
    with pytest.raises(ValueError, match="0xe9 at offset 7"):
        decode("é, caf".encode() + b"\xe9!")


def test_the_documentation_is_prose_without_repeats(source: str) -> None:
    paragraphs = source.splitlines()
    assert len(source) > 100_000
    assert len(set(paragraphs)) == len(paragraphs)
    assert all(paragraph[0].isupper() and paragraph.endswith(".") for paragraph in paragraphs)


def test_entropy_of_known_distributions() -> None:
    uniform, certain = np.zeros(8, dtype=np.float32), np.float32([0, *[-np.inf] * 7])
    assert entropy_bits([uniform, uniform], 0.3) == pytest.approx(3)
    assert entropy_bits([uniform, certain], 1.0) == pytest.approx(1.5)
    # p^(1/T) of (0.8, 0.2) at T = 0.5 is (16/17, 1/17).
    logits = np.log(np.float32([0.8, 0.2]))
    expected = -(16 / 17 * np.log2(16 / 17) + 1 / 17 * np.log2(1 / 17))
    assert entropy_bits([logits], 0.5) == pytest.approx(expected, rel=1e-6)
    assert entropy_bits([logits] * 2, np.array([0.5, 0.0])) == pytest.approx(expected / 2, rel=1e-6)
    assert np.isnan(entropy_bits([], 1.0))


def test_entropy_in_batches_is_that_of_all(monkeypatch: pytest.MonkeyPatch) -> None:
    rows = list(np.random.default_rng(0).normal(0, 3, (100, 7)).astype(np.float32))
    temperatures = np.linspace(0.1, 2, 100)
    expected = np.mean([entropy_bits([row], float(at)) for row, at in zip(rows, temperatures, strict=True)])
    monkeypatch.setattr("fastsoftmax.demo.measures.ROWS_AT_ONCE", 7)
    assert entropy_bits(rows, temperatures) == pytest.approx(expected, rel=1e-6)


def test_shares_of_known_words_and_repeats() -> None:
    assert known_words("The cat zzz ca", {"the", "cat", "ca"}) == pytest.approx(2 / 3)
    assert np.isnan(known_words("12 34", {"the"}))
    assert repeated_ngrams("x" * 19) == pytest.approx(0.9)
    assert repeated_ngrams("abcdefghij") == 0
    assert np.isnan(repeated_ngrams("short"))


def test_temperature_does_what_the_report_shows(source: str, documented: CharModel) -> None:
    vocabulary = set(words(source))
    start = documented.state_after("\n")
    shown = []
    for temperature in TEMPERATURES:
        symbols, _ = written(documented, Sampler(temperature, rng=0), 4000, start)
        shown.append(measure(documented, vocabulary, symbols, start, temperature))
    entropies = [measures.entropy for measures in shown]
    repeats = [measures.repeated for measures in shown]
    known = [measures.known for measures in shown]
    assert entropies == sorted(entropies) and entropies[-1] > 3 * entropies[0]
    assert repeats == sorted(repeats, reverse=True) and repeats[0] > 0.4 and repeats[-1] < 0.1
    assert known[0] > 0.97 and known[-1] < known[-2] - 0.05


def test_the_same_seed_writes_the_same_and_another_seed_something_else(documented: CharModel) -> None:
    texts = [written(documented, Sampler(1.0, rng=seed), 500)[0] for seed in (1, 1, 2)]
    assert texts[0] == texts[1] != texts[2]


def test_writing_in_parts_is_writing_at_once(documented: CharModel) -> None:
    schedule = schedules.linear(1.5, 0.2, 100)
    whole, end = written(documented, Sampler(schedule, rng=3), 100)
    sampler = Sampler(schedule, rng=3)
    first, state = written(documented, sampler, 30)
    second, state = written(documented, sampler, 70, state)
    assert first + second == whole and state == end


def test_at_temperature_0_the_most_likely_symbol_iswritten(documented: CharModel) -> None:
    symbols, _ = written(documented, Sampler(0.0), 300)
    assert symbols == [
        int(row.argmax()) for row in rows_along(documented.logits, documented.advance, symbols)
    ]


@pytest.mark.parametrize("temperature", [0.5, 1.0, 1.5])
def test_the_contestants_draw_from_one_distribution(documented: CharModel, temperature: float) -> None:
    state = documented.state_after("th")
    probs = documented.probs(state)
    expected = probs.astype(np.float64) ** (1 / temperature)
    expected *= 20_000 / expected.sum()
    order = np.argsort(expected)
    rare = order[np.cumsum(expected[order]) < 10]
    common = np.setdiff1d(np.arange(len(probs)), rare)
    for way in contestants(documented, temperature, seed=5):
        row = way.rows(state)
        seen = np.bincount([way.draw(row) for _ in range(20_000)], minlength=len(probs))
        observed = np.append(seen[common], seen[rare].sum())
        predicted = np.append(expected[common], expected[rare].sum())
        # False-alarm rate 1e-9; the rarest symbols, less than 10 expected draws in all, count as one.
        assert chisquare(observed[predicted > 0], predicted[predicted > 0]).pvalue > 1e-9, way.name


def test_the_race_measures_every_contestant(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(race_module, "SECONDS", 1e-4)
    rounds: list[None] = []
    model = CharModel(TEXT, 2)
    results = race(model, 0.5, seed=0, rounds=3, progress=lambda: rounds.append(None))
    assert [result.name for result in results] == [way.name for way in contestants(model, 0.5, 0)]
    assert results[0].loop_ratio == results[0].draw_ratio == 1
    assert all(0 < result.draw_seconds and 0 < result.loop_seconds for result in results)
    assert len(rounds) == 3


def test_the_report_has_every_temperature_and_contestant(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(race_module, "SECONDS", 1e-4)
    report = main_job(TEXT, "a text", seed=0, length=50, order=2)
    for part in ("a text", *(f"temperature {t}" for t in TEMPERATURES), "Sampler ", "helper", "rng.choice"):
        assert part in report
    assert max(map(len, report.splitlines())) <= 110
