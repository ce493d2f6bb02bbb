"""The scenario says what the sheet says, names its sources, and refuses what it cannot mean."""

from __future__ import annotations

import tomllib

import numpy as np
import pytest

from locsvc.errors import ConfigError
from locsvc.evaluate.capture.scenario import Scenario, default_text, read_scenario


@pytest.fixture(scope="module")
def shipped() -> Scenario:
    return read_scenario()


def drawn(scenario: Scenario, name: str, rng: np.random.Generator, count: int = 20_000) -> np.ndarray:
    return np.array([scenario.draw(name, rng) for _ in range(count)])


def test_every_number_has_a_source_and_chosen_ones_say_so(shipped: Scenario) -> None:
    assert len(shipped.values) > 70
    for name, value in shipped.values.items():
        assert len(value.source) >= len("chosen"), name
    # What the sheet of times and accuracies states is not "chosen".
    stated = ("calls.mobile_share", "handset.share", "network.share", "cell.after_s", "line.after_s", "handset.sent_s")
    assert not any(shipped.values[name].source.startswith("chosen") for name in stated)


def test_times_are_those_of_the_field(shipped: Scenario, rng: np.random.Generator) -> None:
    cell, line, network = (drawn(shipped, f"{n}.after_s", rng) for n in ("cell", "line", "network"))
    assert 0 <= cell.min() < cell.max() <= 1
    assert 0.1 <= line.min() < line.max() <= 2
    assert 7 <= network.min() < network.max() <= 30
    assert 15 < network.mean() < 23
    sent = drawn(shipped, "handset.sent_s", rng)
    assert sent.min() >= 6
    assert sent.max() == 20, "the timer"
    assert 0.3 < np.mean(sent == 20) < 0.7
    assert (sent + drawn(shipped, "handset.sms_s", rng)).mean() == pytest.approx(18.0, abs=0.3)


def test_claims_are_as_large_as_published(shipped: Scenario, rng: np.random.Generator) -> None:
    shares = np.array([shipped.number("handset.gnss_share"), shipped.number("handset.wifi_share")])
    means = np.array([drawn(shipped, f"handset.{k}_radius_m", rng).mean() for k in ("gnss", "wifi", "cell")])
    assert means @ [*shares, 1 - shares.sum()] == pytest.approx(36.8, abs=4)
    assert drawn(shipped, "network.radius_m", rng).mean() == pytest.approx(159, rel=0.05)


def test_a_file_changes_only_what_it_names(shipped: Scenario) -> None:
    own = read_scenario('name = "mine"\n[cell]\nshare = { is = 0.5, source = "us" }', named="mine.toml")
    assert own.name == "mine"
    assert own.number("cell.share") == 0.5
    assert own.values["cell.share"].source == "us"
    assert own.values["line.after_s"] == shipped.values["line.after_s"]
    assert read_scenario(default_text()).values == shipped.values


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("[cell", "mend it"),
        ('[cell]\nshares = { is = 0.5, source = "x" }', "'cell.shares' is not known"),
        ("[cell]\nshare = 0.5", "every value says where it is from"),
        ('[cell]\nshare = { is = 0.5, source = "" }', "every value says where it is from"),
        ('[cell]\nshare = { is = 84, source = "x" }', "a share from 0 to 1"),
        ('[cell]\nshare = { is = ["uniform", 0, 1], source = "x" }', "a share from 0 to 1"),
        ('[cell]\nshare = { is = true, source = "x" }', "a number or a distribution"),
        ('[cell]\nafter_s = { is = ["uniform", 2, 1], source = "x" }', "is no distribution"),
        ('[cell]\nafter_s = { is = ["gauss", 2, 1], source = "x" }', "is no distribution"),
        ('[cell]\nafter_s = { is = ["uniform", 2], source = "x" }', "is no distribution"),
        ('[cell]\nafter_s = { is = [], source = "x" }', "is no distribution"),
        ('[cell]\nafter_s = { is = nan, source = "x" }', "a number or a distribution"),
        ('[radio]\nslope_db = { is = ["uniform", 1, 2], source = "x" }', "must be a number, not a distribution"),
        ('[calls]\nfixed_share = { is = 0.2, source = "x" }', "more than 1 together"),
        ("cell = 3", "must be a table"),
    ],
)
def test_what_cannot_be_meant_is_refused_by_name(text: str, words: str) -> None:
    with pytest.raises(ConfigError, match=r"mine\.toml") as caught:
        read_scenario(text, named="mine.toml")
    assert words in str(caught.value)


def test_shipped_file_is_whole() -> None:
    assert tomllib.loads(default_text())["name"].startswith("default-")


@pytest.mark.parametrize(
    ("form", "numbers", "median"),
    [("uniform", "1, 3", 2.0), ("log_uniform", "1, 100", 10.0), ("lognormal", "30, 0.5", 30.0)],
)
def test_distributions_lie_where_they_say(form: str, numbers: str, median: float, rng: np.random.Generator) -> None:
    own = read_scenario(f'[cell]\nafter_s = {{ is = ["{form}", {numbers}], source = "x" }}')
    assert np.median(drawn(own, "cell.after_s", rng)) == pytest.approx(median, rel=0.05)
