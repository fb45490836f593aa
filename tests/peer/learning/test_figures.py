"""Figures out of sums: as scikit-learn has them, and the same however the rows are divided among members."""

from typing import Any

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from sklearn import metrics as reference
from sklearn.preprocessing import label_binarize

from coterie.peer.learning.figures import (
    EDGES,
    THREE_EDGES,
    class_means,
    figures_of,
    mean_names,
    number_means,
    round_names,
    tells_areas,
)
from coterie.protocol.limits import MAX_METRICS, MAX_NAME_CHARS

SEEDS = range(4)


def scored(seed: int, classes: int, rows: int = 300) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Probabilities that know something of the true classes, the classes told, and the true ones."""
    random = np.random.default_rng(seed)
    codes = random.integers(0, classes, rows)
    odds = np.exp(random.normal(scale=1.5, size=(rows, classes)) + 2.0 * np.eye(classes)[codes])
    probabilities = odds / odds.sum(axis=1, keepdims=True)
    return probabilities, probabilities.argmax(axis=1), codes


def joined(*parts: tuple[int, dict[str, float]]) -> dict[str, float]:
    """The means that members' sums come to: each one's weighted by its rows."""
    rows = sum(count for count, _ in parts)
    return {name: sum(count * means[name] for count, means in parts) / rows for name in parts[0][1]}


def of_two(positive: Any, codes: Any) -> dict[str, float]:
    """The means of two classes by the probabilities of the second one."""
    positive, codes = np.asarray(positive, dtype=float), np.asarray(codes)
    return class_means(np.column_stack([1 - positive, positive]), (positive > 0.5).astype(int), codes)


# As scikit-learn has them


@pytest.mark.parametrize("seed", SEEDS)
def test_the_rates_of_two_classes_are_those_of_scikit_learn(seed: int) -> None:
    probabilities, told, codes = scored(seed, 2)
    figures = figures_of(2, 0.5, class_means(probabilities, told, codes))
    expected = {
        "accuracy": reference.accuracy_score(codes, told),
        "sensitivity": reference.recall_score(codes, told),
        "specificity": reference.recall_score(codes, told, pos_label=0),
        "ppv": reference.precision_score(codes, told),
        "npv": reference.precision_score(codes, told, pos_label=0),
        "f1": reference.f1_score(codes, told),
        "brier": reference.brier_score_loss(codes, probabilities[:, 1]),
        "mean_probability": probabilities[:, 1].mean(),
        "prevalence": codes.mean(),
    }
    assert {name: figures.numbers[name] for name in expected} == pytest.approx(expected)
    assert np.array(figures.confusion) * 300 == pytest.approx(reference.confusion_matrix(codes, told))


@pytest.mark.parametrize("seed", SEEDS)
def test_the_area_is_that_of_the_binned_probabilities(seed: int) -> None:
    probabilities, told, codes = scored(seed, 2)
    numbers = figures_of(2, 0.5, class_means(probabilities, told, codes)).numbers
    binned = np.digitize(probabilities[:, 1], EDGES)
    assert numbers["auc"] == pytest.approx(reference.roc_auc_score(codes, binned))
    exact = reference.roc_auc_score(codes, probabilities[:, 1])
    assert 0 < abs(numbers["auc"] - exact) <= numbers["auc_error"] < 0.03


@pytest.mark.parametrize("seed", SEEDS)
def test_the_areas_of_three_classes_are_those_of_each_against_the_others_in_bins(seed: int) -> None:
    probabilities, told, codes = scored(seed, 3)
    figures = figures_of(3, 0.5, class_means(probabilities, told, codes))
    binned = np.digitize(probabilities, THREE_EDGES)
    areas = [reference.roc_auc_score(codes == one, binned[:, one]) for one in range(3)]
    assert [one["auc"] for one in figures.by_class] == pytest.approx(areas)
    assert figures.numbers["auc"] == pytest.approx(np.mean(areas))
    exact = reference.roc_auc_score(codes, probabilities, multi_class="ovr")
    assert 0 < abs(figures.numbers["auc"] - exact) <= figures.numbers["auc_error"] < 0.1


@pytest.mark.parametrize("seed", SEEDS)
def test_the_calibration_is_that_of_scikit_learn_in_the_same_bins(seed: int) -> None:
    probabilities, told, codes = scored(seed, 2)
    bins = figures_of(2, 0.5, class_means(probabilities, told, codes)).calibration
    places = np.digitize(probabilities[:, 1], EDGES)
    assert [one.part for one in bins] == pytest.approx([float((places == place).mean()) for place in np.unique(places)])
    assert [one.observed for one in bins] == pytest.approx(
        [codes[places == place].mean() for place in np.unique(places)]
    )
    means = [probabilities[places == place, 1].mean() for place in np.unique(places)]
    assert all(one.low <= mean <= one.high for one, mean in zip(bins, means, strict=True))


@pytest.mark.parametrize("classes", [3, 4, 5, 6, 10])
def test_the_rates_of_many_classes_are_those_of_scikit_learn(classes: int) -> None:
    probabilities, told, codes = scored(classes, classes)
    figures = figures_of(classes, 0.5, class_means(probabilities, told, codes))
    assert figures.numbers["accuracy"] == pytest.approx(reference.accuracy_score(codes, told))
    assert figures.numbers["macro_f1"] == pytest.approx(reference.f1_score(codes, told, average="macro"))
    truth = label_binarize(codes, classes=range(classes))
    assert figures.numbers["brier"] == pytest.approx(float(np.square(probabilities - truth).sum(axis=1).mean()))
    for name, score in (("sensitivity", reference.recall_score), ("ppv", reference.precision_score)):
        assert [one[name] for one in figures.by_class] == pytest.approx(score(codes, told, average=None))
    cells = reference.multilabel_confusion_matrix(codes, told)
    specificities = [one[0, 0] / one[0].sum() for one in cells]
    assert [one["specificity"] for one in figures.by_class] == pytest.approx(specificities)
    if classes <= 5:
        assert np.array(figures.confusion) * 300 == pytest.approx(reference.confusion_matrix(codes, told))
    else:
        assert figures.confusion == ()


@pytest.mark.parametrize("offset", [0.0, -3.0, 1e6])
def test_the_errors_of_numbers_are_those_of_scikit_learn(offset: float) -> None:
    random = np.random.default_rng(1)
    values = random.normal(50, 10, 200) + offset
    told = values + random.normal(1, 4, 200)
    means = number_means(told - values, float(values.var()))
    figures = figures_of(0, float(np.square(told - values).mean()), means)
    assert figures.numbers == pytest.approx(
        {"mae": reference.mean_absolute_error(values, told), "r2": reference.r2_score(values, told)}
    )


def test_more_than_ten_classes_have_an_accuracy_and_a_brier_score() -> None:
    probabilities, told, codes = scored(0, 11)
    figures = figures_of(11, 0.5, class_means(probabilities, told, codes))
    assert figures.numbers == pytest.approx(
        {
            "accuracy": reference.accuracy_score(codes, told),
            "brier": float(np.square(probabilities - np.eye(11)[codes]).sum(axis=1).mean()),
        }
    )
    assert (figures.confusion, figures.by_class) == ((), ())


# Sums


@pytest.mark.parametrize("classes", [0, *range(2, 13)])
def test_all_means_have_room_in_a_genesis(classes: int) -> None:
    names = mean_names(classes)
    assert len(set(names)) == len(names) <= MAX_METRICS
    assert all(len(name) <= MAX_NAME_CHARS and name.isprintable() for name in names)
    assert set(round_names(classes)) <= set(names)
    if classes:
        assert set(class_means(*scored(0, classes))) == set(names)


probability = st.floats(0, 1)
rows_of_two = st.lists(st.tuples(probability, st.booleans()), min_size=2, max_size=40)


@given(rows_of_two, st.integers(1, 39))
def test_the_figures_of_summed_halves_are_those_of_the_whole(rows: list[tuple[float, bool]], cut: int) -> None:
    assume(cut < len(rows))
    positive, codes = map(np.array, zip(*rows, strict=True))
    whole = of_two(positive, codes.astype(int))
    parts = [
        (len(part), of_two(positive[part], codes[part].astype(int))) for part in np.split(np.arange(len(rows)), [cut])
    ]
    found, expected = figures_of(2, 0.5, joined(*parts)), figures_of(2, 0.5, whole)
    assert found.numbers == pytest.approx(expected.numbers)
    assert np.array(found.confusion) == pytest.approx(np.array(expected.confusion))
    assert [one.observed for one in found.calibration] == pytest.approx([one.observed for one in expected.calibration])


@given(rows_of_two)
def test_the_area_is_within_its_error_of_the_exact_one(rows: list[tuple[float, bool]]) -> None:
    positive, codes = map(np.array, zip(*rows, strict=True))
    assume(codes.any() and not codes.all())
    numbers = figures_of(2, 0.5, of_two(positive, codes.astype(int))).numbers
    exact = reference.roc_auc_score(codes, positive)
    assert abs(numbers["auc"] - exact) <= numbers["auc_error"] + 1e-12


rows_of_three = st.lists(st.tuples(st.integers(0, 2), st.tuples(*[st.floats(0.001, 1)] * 3)), min_size=3, max_size=40)


def of_three(rows: list[tuple[int, tuple[float, ...]]]) -> tuple[np.ndarray, np.ndarray]:
    """Probabilities and classes."""
    odds = np.array([odds for _, odds in rows])
    return odds / odds.sum(axis=1, keepdims=True), np.array([code for code, _ in rows])


@given(rows_of_three)
def test_the_areas_of_three_classes_are_within_their_error_of_the_exact_ones(
    rows: list[tuple[int, tuple[float, ...]]],
) -> None:
    probabilities, codes = of_three(rows)
    figures = figures_of(3, 0.5, class_means(probabilities, probabilities.argmax(axis=1), codes))
    for one, found in enumerate(figures.by_class):
        if 0 < (codes == one).sum() < len(codes):
            exact = reference.roc_auc_score(codes == one, probabilities[:, one])
            assert abs(found["auc"] - exact) <= found["auc_error"] + 1e-12
        else:
            assert "auc" not in found


@given(rows_of_three, st.integers(1, 39))
def test_the_areas_of_three_classes_add_up(rows: list[tuple[int, tuple[float, ...]]], cut: int) -> None:
    assume(cut < len(rows))
    probabilities, codes = of_three(rows)
    told = probabilities.argmax(axis=1)
    parts = [
        (len(part), class_means(probabilities[part], told[part], codes[part]))
        for part in np.split(np.arange(len(rows)), [cut])
    ]
    found = figures_of(3, 0.5, joined(*parts))
    assert found.numbers == pytest.approx(figures_of(3, 0.5, class_means(probabilities, told, codes)).numbers)


@given(st.lists(st.tuples(st.integers(0, 3), st.integers(0, 3)), min_size=2, max_size=30), st.integers(1, 29))
def test_a_confusion_matrix_adds_up(rows: list[tuple[int, int]], cut: int) -> None:
    assume(cut < len(rows))
    codes, told = np.array(rows).T
    probabilities = np.eye(4)[told]
    whole = class_means(probabilities, told, codes)
    parts = [
        (len(part), class_means(probabilities[part], told[part], codes[part]))
        for part in np.split(np.arange(len(rows)), [cut])
    ]
    assert np.array(figures_of(4, 0.5, joined(*parts)).confusion) == pytest.approx(
        np.array(figures_of(4, 0.5, whole).confusion)
    )


@given(
    st.lists(st.tuples(st.floats(-1e3, 1e3), st.floats(-1e3, 1e3)), min_size=3, max_size=30),
    st.integers(1, 29),
)
def test_the_errors_of_numbers_add_up(rows: list[tuple[float, float]], cut: int) -> None:
    assume(cut < len(rows))
    values, told = np.array(rows).T
    assume(values.std() > 1)
    loss = float(np.square(told - values).mean())
    halves = np.split(np.arange(len(rows)), [cut])
    parts = [(len(part), number_means((told - values)[part], float(values.var()))) for part in halves]
    numbers = figures_of(0, loss, joined(*parts)).numbers
    assert numbers["mae"] == pytest.approx(reference.mean_absolute_error(values, told), abs=1e-9)
    assert numbers["r2"] == pytest.approx(reference.r2_score(values, told), rel=1e-6, abs=1e-6)


# At the edges


def test_a_probability_of_one_half_is_where_the_class_told_says() -> None:
    half = np.array([[0.5, 0.5], [0.5, 0.5]])
    for told, confusion in (([0, 0], ((0.5, 0), (0.5, 0))), ([1, 1], ((0, 0.5), (0, 0.5)))):
        figures = figures_of(2, 0.5, class_means(half, np.array(told), np.array([0, 1])))
        assert figures.confusion == confusion
        assert figures.numbers["auc"] == 0.5


def test_certain_probabilities_have_bins() -> None:
    figures = figures_of(2, 0.5, of_two([0, 1, 1], [0, 1, 1]))
    assert (figures.numbers["auc"], figures.numbers["auc_error"], figures.numbers["brier"]) == (1, 0, 0)
    assert [(one.low, one.high, one.observed) for one in figures.calibration] == [(0, 0.01, 0), (0.99, 1, 1)]


def test_rows_of_one_class_have_no_area_and_no_rate_of_the_other() -> None:
    numbers = figures_of(2, 0.5, of_two([0.2, 0.3], [0, 0])).numbers
    assert numbers["specificity"] == 1
    assert not {"auc", "auc_error", "sensitivity", "ppv", "f1"} & numbers.keys()


def test_a_class_that_no_row_has_counts_in_no_mean() -> None:
    codes = np.array([0, 1, 0, 1])
    figures = figures_of(3, 0.5, class_means(np.eye(3)[codes], codes, codes))
    assert figures.numbers["macro_f1"] == 1
    assert "sensitivity" not in figures.by_class[2]
    assert figures.by_class[2]["specificity"] == 1


def test_a_target_that_is_the_same_in_all_training_rows_has_no_r2() -> None:
    means = number_means(np.array([1.0, -1.0]), 0.0)
    assert figures_of(0, 1.0, means).numbers == {"mae": 1.0}


def test_without_rows_there_are_no_means() -> None:
    with pytest.raises(ValueError, match="no rows"):
        class_means(np.empty((0, 2)), np.empty(0, int), np.empty(0, int))
    with pytest.raises(ValueError, match="no rows"):
        number_means(np.empty(0), 1.0)


# Sums that no rows have, and those of older federations


@pytest.mark.parametrize(
    ("name", "value"),
    [("0 in 0-0.01", -0.5), ("1 in 0.99-1", 3.0), ("probability", 1.5), ("1 in 0.99-1", float("nan"))],
)
def test_of_means_that_no_rows_have_nothing_is_made(name: str, value: float) -> None:
    means = of_two([0.1, 0.7, 0.9], [0, 0, 1])
    figures = figures_of(2, 0.5, means | {name: value})
    assert figures.numbers.keys() == {"accuracy", "brier"}
    assert (figures.confusion, figures.calibration) == ((), ())


def test_cells_that_do_not_add_up_to_all_rows_are_not_told() -> None:
    means = class_means(*scored(0, 3)) | {"0 as 1": 0.9}
    assert figures_of(3, 0.5, means).numbers.keys() == {"accuracy", "brier"}


@pytest.mark.parametrize(
    ("name", "value"), [("0 at 0.7-1", 0.9), ("not 1 at 0.05-0.3", 0.9), ("2 at 0.3-0.7", float("nan"))]
)
def test_bins_of_three_classes_with_more_rows_than_there_are_make_no_figures(name: str, value: float) -> None:
    means = class_means(*scored(0, 3)) | {name: value}
    assert figures_of(3, 0.5, means).numbers.keys() == {"accuracy", "brier"}


def test_some_of_the_bins_of_three_classes_make_no_figures() -> None:
    means = class_means(*scored(0, 3))
    del means["2 at 0.7-1"]
    assert figures_of(3, 0.5, means).numbers.keys() == {"accuracy", "brier"}


def test_an_older_federation_of_three_classes_has_all_figures_but_the_areas() -> None:
    means = class_means(*scored(0, 3))
    older = figures_of(3, 0.5, {name: value for name, value in means.items() if not tells_areas([name])})
    assert older.numbers.keys() == {"accuracy", "macro_f1", "brier"}
    assert figures_of(3, 0.5, means).numbers.keys() == {"auc", "auc_error", *older.numbers}


@pytest.mark.parametrize("classes", [2, 3, 4, 5, 6, 10])
def test_no_round_but_the_last_adds_up_bins_or_the_classes_of_rows(classes: int) -> None:
    """The means of a round differ between two models that put each row into the same bin: they count no rows."""
    codes = np.arange(4 * classes) % classes
    one, other = (
        class_means(np.full((len(codes), classes), high / classes), np.zeros_like(codes), codes) for high in (1, 0.98)
    )
    assert {*round_names(classes)} <= {name for name, mean in one.items() if mean != other[name]}


def test_rates_stay_within_0_and_1_whatever_the_hits_are() -> None:
    means = class_means(*scored(0, 6)) | {"hits 2": 1.0, "told 3": 0.0}
    for rates in figures_of(6, 0.5, means).by_class:
        assert all(0 <= rate <= 1 for rate in rates.values())


@pytest.mark.parametrize("classes", [0, 2, 3, 6, 11])
def test_an_older_federation_has_the_figures_that_it_adds_up(classes: int) -> None:
    means = {"accuracy": 0.9} if classes else {}
    assert figures_of(classes, 0.5, means).numbers == means
