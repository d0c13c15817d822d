"""docs/try: the page computes what Python computes, to the last bit, and can be used with a keyboard, a screen reader
and a phone.

It is built, opened as a file in headless Chromium, and operated.  Skipped where playwright, Chromium or the compiler
for WebAssembly is missing."""

import hashlib
import importlib.util
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest

import fastsoftmax as fs

playwright = pytest.importorskip("playwright.sync_api")
expect = playwright.expect
Page = Any

ROOT = Path(__file__).resolve().parents[2]
CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="no chromium")


def page_builder() -> ModuleType:
    spec = importlib.util.spec_from_file_location("try_page", ROOT / "docs" / "try" / "build.py")
    assert spec and spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def address(tmp_path_factory: pytest.TempPathFactory) -> str:
    builder = page_builder()
    for toolchain in (builder.NATIVE, builder.WASM):
        toolchain.skip_unless_installed()
    return builder.build(tmp_path_factory.mktemp("try")).as_uri()  # type: ignore[no-any-return]


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    with playwright.sync_playwright() as started:
        browser = started.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield browser
        browser.close()


def opened(browser: Any, address: str, **options: Any) -> Page:
    page = browser.new_page(**{"viewport": {"width": 1280, "height": 900}, **options})
    page.set_default_timeout(20_000)
    page.noticed = []  # what no page should have: requests, errors, messages in the console
    page.on("request", lambda request: page.noticed.append(request.url))
    page.on("console", lambda message: page.noticed.append(message.text))
    page.on("pageerror", lambda error: page.noticed.append(str(error)))
    page.goto(address)
    page.wait_for_selector("html[data-ready]")
    settle(page)
    return page


@pytest.fixture
def page(browser: Any, address: str) -> Iterator[Page]:
    """The page; a test that asks for it also promises that nothing was requested and nothing went wrong."""
    page = opened(browser, address)
    yield page
    others = [text for text in page.noticed if text != address and not text.startswith("blob:")]
    page.close()
    assert others == []


def place_of(temperature: float) -> int:
    """Of the slider, which has two digits of every power of ten."""
    if temperature in (0, np.inf):
        return 0 if temperature == 0 else 362
    digits, power = f"{temperature:.1e}".split("e")
    return 1 + 90 * (int(power) + 2) + round(float(digits) * 10) - 10


def settle(page: Page) -> None:
    """Waits until what was set is shown."""
    page.wait_for_selector("#result:not([aria-busy=true])", state="attached")


def set_state(
    page: Page, row: str, temperature: float, filters: dict[str, float], seed: int = 7, size: int = 24
) -> None:
    """`row`: one of the select's values, or numbers for the text field."""
    if re.fullmatch("[a-z]+", row):
        page.select_option("#row", row)
    else:
        page.select_option("#row", "own")
        page.fill("#logits", row)
    settle(page)
    page.fill("#temperature", str(place_of(temperature)))
    for name, off in (("top_k", 0), ("top_p", 1), ("min_p", 0)):
        value = filters.get(name, off)
        page.fill(f"#{name}", str(value if name == "top_k" else round(100 * value)))
    page.fill("#seed", str(seed))
    page.fill("#size", str(size))
    settle(page)


def lines(page: Page) -> str:
    return page.text_content("pre code")  # type: ignore[no-any-return]


def row_of(page: Page) -> np.ndarray:
    """The row as the Python lines have it."""
    numbers = re.search(r"np\.array\((\[.*\]), np\.float32\)", lines(page))
    assert numbers
    return np.array(eval(numbers[1], {"np": np}), np.float32)


def printed_by(text: str) -> str:
    done = subprocess.run(
        [sys.executable, "-c", text], cwd=Path(fs.__file__).parents[1], capture_output=True, text=True, check=True
    )
    return done.stdout.strip()


def is_rounded(shown: str, p: float) -> bool:
    """Whether a percentage is that of p, to the digits it has."""
    if shown == "0":
        return p == 0
    number = shown.removesuffix(" %")
    digits, _, power = number.partition("e")
    unit = 10.0 ** (int(power or 0) - len(digits.partition(".")[2]))
    return shown.endswith(" %") and abs(float(number) - 100 * p) <= 0.501 * unit


STATES = [
    ("words", 1.0, {}),
    ("words", 0.7, {"top_k": 40, "top_p": 0.9, "min_p": 0.02}),
    ("words", 0.0, {}),
    ("words", np.inf, {"top_k": 13}),
    ("letters", 2.3, {"top_p": 0.8}),
    ("letters", 0.01, {"min_p": 0.3}),
    ("flat", 1.5, {"top_p": 0.5}),
    ("flat", 0.0, {"top_k": 3}),
    ("3 3 -inf 2.5 0.1 -7e-3 1e-42", 0.35, {}),
    ("inf 1 inf, -inf", 1.0, {"top_p": 0.6}),
    ("[1e38, -1e38, 0, -0.0, 3e38]", 100.0, {}),
    ("0 88.7 -15", 1.0, {}),
]


@pytest.mark.parametrize(("row", "temperature", "filters"), STATES)
def test_what_is_shown_is_what_python_computes(
    page: Page, row: str, temperature: float, filters: dict[str, float]
) -> None:
    set_state(page, row, temperature, filters, seed=11, size=40)
    x = row_of(page)
    kept = fs.truncate(x, temperature, **filters) if filters else x
    p = fs.softmax(kept) if filters else fs.softmax(x, temperature)
    entropy = fs.entropy(kept) if filters else fs.entropy(x, temperature)
    draws = fs.sample(x, temperature, size=40, u=fs.keyed_uniforms(11, 0, range(40)), **filters)

    assert page.text_content("#temperature-value") == ("∞" if temperature == np.inf else f"{temperature:g}")
    assert page.text_content("#entropy-before") == f"{fs.entropy(x):.4f} nats"
    assert page.text_content("#entropy-after") == f"{entropy:.4f} nats"
    assert page.text_content("#kept") == f"{np.isfinite(kept).sum() + (kept == np.inf).sum()} of {(x > -np.inf).sum()}"

    if page.is_visible("#more"):
        page.click("#more")
    page.select_option("#order", "index")
    settle(page)
    cells = page.eval_on_selector_all(
        "#entries tr", "rows => rows.map((row) => [...row.children].map((cell) => cell.textContent))"
    )
    assert len(cells) == x.size
    counts, before = np.bincount(draws, minlength=x.size), fs.softmax(x)
    for i, (_label, logit, _bars, shown_before, shown, drawn) in enumerate(cells):
        assert float(logit.replace("Infinity", "inf")) == pytest.approx(float(x[i]), rel=1e-5)
        assert is_rounded(shown_before, float(before[i]))
        assert (shown == "cut") == bool(kept[i] == -np.inf and x[i] > -np.inf)
        assert shown == "cut" or is_rounded(shown, float(p[i]))
        assert int(drawn or 0) == counts[i]
    labels = [row[0] for row in cells]
    assert page.eval_on_selector_all("#drawn span", "all => all.map((one) => one.textContent)") == [
        labels[i] for i in draws
    ]

    digest = page.text_content("#digest")
    assert digest == hashlib.sha256(p.tobytes() + draws.tobytes()).hexdigest()
    assert digest == printed_by(lines(page))


def test_draws_are_those_of_a_sampler_with_the_seed(page: Page) -> None:
    set_state(page, "letters", 1.2, {"top_k": 9}, seed=2**64 - 1, size=30)
    sampler, x = fs.Sampler(1.2, seed=2**64 - 1, top_k=9), row_of(page)
    assert re.search(r"keyed_uniforms\(18446744073709551615, 0, range\(30\)\)", lines(page))
    labels = page.eval_on_selector_all("#drawn span", "all => all.map((one) => one.textContent)")
    assert labels == ["␣abcdefghijklmnopqrstuvwxyz"[sampler(x)] for _ in range(30)]


def test_kernels_in_the_page_give_the_digest_of_the_native_ones(page: Page) -> None:
    page.click("#check")
    expect(page.locator("#checked")).to_contain_text("The digests are equal", timeout=60_000)
    here = page.text_content("#check-here")
    assert re.fullmatch("[0-9a-f]{16}", here) and here == page.text_content("#check-native")
    assert int(re.search(r"([\d,]+) checks", page.text_content("#checked"))[1].replace(",", "")) > 1000  # type: ignore[index]


def test_a_digest_that_differs_is_not_called_equal(page: Page) -> None:
    page.evaluate(
        "() => { const native = document.getElementById('native');"
        ' native.textContent = native.textContent.replace(/("digest": ")./, \'$1x\'); }'
    )
    page.click("#check")
    expect(page.locator("#checked")).to_contain_text("The digests differ", timeout=60_000)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "no number"),
        ("  \n ,, [] ", "no number"),
        ("nan", "holds NaN"),
        ("1 2 -NaN", "holds NaN"),
        ("-inf, -Infinity", "Every entry is −inf"),
        ("1 2 1e999", "Entry 2 is more than float32 can hold: “1e999”"),
        ("-1e39", "Entry 0 is more than float32 can hold"),
        ("1 two 3", "Entry 1 is not a number: “two”"),
        ("0x10", "Entry 0 is not a number"),
        ("1,5 1.2.3", "Entry 2 is not a number"),
        ("--1", "Entry 0 is not a number"),
        ("<img src=x onerror=alert(1)>", "Entry 0 is not a number: “<img”"),
        ("x" * 5000, "Entry 0 is not a number: “" + "x" * 30 + "…”"),
    ],
)
def test_text_that_is_no_row_is_named(page: Page, text: str, says: str) -> None:
    page.select_option("#row", "own")
    page.fill("#logits", text)
    expect(page.get_by_role("alert")).to_contain_text(says)
    assert page.get_attribute("#logits", "aria-invalid") == "true"
    page.fill("#temperature", "10")  # a slider that moves meanwhile changes nothing of that
    settle(page)
    expect(page.get_by_role("alert")).to_contain_text(says)
    assert page.text_content("#temperature-value") == "0.019"
    page.fill("#logits", "1 2 3")
    expect(page.get_by_role("alert")).to_have_count(0)
    settle(page)
    assert page.get_attribute("#logits", "aria-invalid") is None
    assert page.text_content("#digest") == printed_by(lines(page))


@pytest.mark.parametrize(
    ("field", "text"),
    [("seed", ""), ("seed", "-1"), ("seed", str(2**64)), ("seed", "1e3"), ("size", "0"), ("size", "10001")],
)
def test_a_seed_or_number_of_draws_out_of_range_is_named(page: Page, field: str, text: str) -> None:
    page.fill(f"#{field}", text)
    expect(page.get_by_role("alert")).to_contain_text("a whole number from")
    assert page.get_attribute(f"#{field}", "aria-invalid") == "true"
    page.fill(f"#{field}", "12")
    expect(page.get_by_role("alert")).to_have_count(0)


def test_ten_thousand_numbers_and_a_slider_dragged_fast(page: Page) -> None:
    x = np.random.default_rng(1).normal(0, 4, 10_000).astype(np.float32)
    set_state(page, " ".join(map(repr, map(float, x))), 0.8, {"top_p": 0.95}, size=1000)
    assert np.array_equal(row_of(page), x)
    assert page.text_content("#more-text") == "9,960 more entries."
    page.evaluate(
        """async () => {
            const slider = document.getElementById("temperature");
            for (let i = 0; i < 400; i++) {
                slider.value = (37 * i) % 363;
                slider.dispatchEvent(new Event("input", { bubbles: true }));
                if (i % 8 === 0) await new Promise((done) => setTimeout(done));
            }
        }"""
    )
    settle(page)
    shown = page.text_content("#temperature-value")
    temperature = float(re.search(r"truncate\(x, ([\w.]+),", lines(page))[1])  # type: ignore[index]
    assert float(shown) == temperature
    p = fs.softmax(fs.truncate(x, temperature, top_p=0.95))
    draws = fs.sample(x, temperature, top_p=0.95, size=1000, u=fs.keyed_uniforms(7, 0, range(1000)))
    assert page.text_content("#digest") == hashlib.sha256(p.tobytes() + draws.tobytes()).hexdigest()


def test_more_than_the_page_takes_is_said_and_the_page_goes_on(page: Page) -> None:
    page.select_option("#row", "own")
    page.fill("#logits", "1 " * 100_001)
    expect(page.get_by_role("alert")).to_contain_text("The field has 100,001 numbers")
    page.fill("#logits", "1 " * 100_000)
    expect(page.get_by_role("alert")).to_have_count(0)
    expect(page.locator("#kept")).to_have_text("100,000 of 100,000")


def test_every_control_is_reached_by_tab_and_shows_that_it_has_the_focus(page: Page) -> None:
    seen: list[str] = []
    page.evaluate("document.activeElement.blur()")
    for _ in range(40):
        page.keyboard.press("Tab")
        name, outline = page.evaluate(
            "() => { const at = document.activeElement;"
            " return [at.id || at.name || at.tagName, getComputedStyle(at).outlineStyle]; }"
        )
        if name == "BODY":
            break
        seen.append(name)
        assert outline != "none", name
    assert seen == [
        "theme", "row", "temperature", "top_k", "top_p", "min_p", "seed", "size", "next-seed", "BUTTON",
        "drawn", "order", "more", "PRE", "copy", "check",
    ]  # fmt: skip


def test_sliders_move_by_arrow_keys_and_say_their_value(page: Page) -> None:
    slider = page.get_by_role("slider", name="temperature")
    slider.focus()
    shown = []
    for key in ("ArrowRight", "ArrowRight", "ArrowLeft", "Home", "ArrowRight", "End"):
        page.keyboard.press(key)
        settle(page)
        shown.append(slider.get_attribute("aria-valuetext"))
    assert shown == ["1.1", "1.2", "1.1", "0", "0.01", "infinite"]
    assert "softmax(x, np.inf)" in lines(page)
    for name, key, text, argument in (
        ("top_k", "ArrowRight", "1", "top_k=1"),
        ("top_p", "ArrowLeft", "0.99", "top_p=0.99"),
        ("min_p", "ArrowRight", "0.01", "min_p=0.01"),
    ):
        slider = page.get_by_role("slider", name=name)
        assert slider.get_attribute("aria-valuetext") == "off" and argument not in lines(page)
        slider.focus()
        page.keyboard.press(key)
        settle(page)
        assert slider.get_attribute("aria-valuetext") == text and argument in lines(page)
    page.get_by_role("button", name="Back to the beginning").press("Enter")
    settle(page)
    assert "p = fs.softmax(x, 1)" in lines(page)


def test_screen_readers_hear_one_sentence_when_the_settings_rest(page: Page) -> None:
    summary = page.locator("#summary")
    expect(summary).to_contain_text("entries kept")
    at_first = summary.text_content()
    page.evaluate(
        """() => {
            window.said = [];
            const watch = (entry) => new MutationObserver(() => window.said.push(entry.textContent));
            for (const entry of document.querySelectorAll("[role=status], [role=alert]"))
                watch(entry).observe(entry, { childList: true, characterData: true, subtree: true });
        }"""
    )
    page.evaluate(
        """async () => {
            const slider = document.getElementById("temperature");
            for (let i = 0; i < 25; i++) {
                slider.stepUp();
                slider.dispatchEvent(new Event("input", { bubbles: true }));
                await new Promise(requestAnimationFrame);
            }
        }"""
    )
    expect(summary).not_to_have_text(at_first)
    page.wait_for_timeout(1000)
    said = page.evaluate("window.said")
    assert len(said) == 1
    assert re.fullmatch(r"80 of 80 entries kept\. Most likely: .*, [\d.]+ %\. Entropy [\d.]+ nats\.", said[0])


def test_focus_goes_to_what_the_last_click_on_more_has_shown(page: Page) -> None:
    page.locator("#more").press("Enter")
    assert page.evaluate("document.activeElement.rowIndex") == 41
    assert page.locator("#entries tr").count() == 80


@pytest.mark.parametrize("width", [320, 390, 768, 1280])
def test_nothing_is_wider_than_the_window(browser: Any, address: str, width: int) -> None:
    page = opened(browser, address, viewport={"width": width, "height": 800})
    rows = ["words", "letters", "flat", "-0.000123456789 1e-42 12345678 " * 20, "1 " + "x" * 300, "1 " * 3000]
    for row in rows:
        set_state(page, row, 0.35, {"top_p": 0.9}, seed=2**64 - 1, size=200)
        assert page.evaluate("document.documentElement.scrollWidth") <= width, row
    page.close()


def test_colours_follow_the_system_and_the_switch(browser: Any, address: str) -> None:
    colours = {}
    for scheme in ("light", "dark"):
        page = opened(browser, address, color_scheme=scheme)
        for choice in ("system", "light", "dark"):
            page.get_by_role("radio", name=choice).check()
            colours[scheme, choice] = page.evaluate("getComputedStyle(document.body).backgroundColor")
        page.close()
    light, dark = colours["light", "system"], colours["dark", "system"]
    assert light != dark
    assert colours["light", "light"] == colours["dark", "light"] == light
    assert colours["light", "dark"] == colours["dark", "dark"] == dark


def test_python_lines_are_copied(browser: Any, address: str) -> None:
    page = opened(browser, address, permissions=["clipboard-read", "clipboard-write"])
    page.click("#copy")
    expect(page.locator("#copied")).to_have_text("Copied.")
    assert page.evaluate("navigator.clipboard.readText()") == lines(page)
    page.close()


def test_page_may_not_request_anything(browser: Any, address: str) -> None:
    page = opened(browser, address)
    sent: list[str] = []
    page.on("requestfinished", lambda request: sent.append(request.url))
    for attempt in (
        "fetch('http://127.0.0.1:9/').then(() => 'sent', () => 'not sent')",
        "new Promise((done) => { const image = new Image(); image.onload = () => done('sent');"
        " image.onerror = () => done('not sent'); image.src = 'http://127.0.0.1:9/'; })",
    ):
        assert page.evaluate(attempt) == "not sent"
    assert sent == [] and "Content Security Policy" in " ".join(page.noticed)
    page.close()


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [390, 1280])
def test_axe_finds_no_obstacle(browser: Any, address: str, scheme: str, width: int) -> None:
    axe = pytest.importorskip("axe_playwright_python.sync_playwright").Axe()
    page = opened(browser, address, color_scheme=scheme, viewport={"width": width, "height": 900})
    set_state(page, "words", 0.85, {"top_p": 0.9}, size=500)
    page.click("#check")
    expect(page.locator("#digests")).to_be_visible(timeout=60_000)
    for row in ("words", "nan 1"):
        set_state(page, row, 0.85, {"top_p": 0.9}, size=500)
        found = axe.run(page)
        assert found.violations_count == 0, found.generate_report()
    page.close()
