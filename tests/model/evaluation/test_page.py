from awareness_model.evaluation.page import page
from awareness_model.evaluation.pareto import TEXT
from awareness_model.evaluation.pictures import pictures


def estimate(value):
    return {"value": value, "ci": [value - 0.1, value + 0.2]}


ROW = {
    "layout": "kv",
    "dtype": "float32",
    "precision": "bfloat16",
    "machine": "2 CPU cores",
    "missing": ["seeds 2 and 3"],
    "packages": 2,
    "families": 2,
    "lines": 6,
    "recall": {"routed": 0.5, "embedded": None},
    "by_package": {"b": {"lines": 3, "S": estimate(0.2)}, "a": {"lines": 3, "S": estimate(0.9)}},
    "classes": {
        "remote": {
            "lines": 6,
            "tokens": 12,
            "nll": {"none": 2.0, "own": 1.0, "other": 2.1},
            "S": estimate(1.1),
        }
    },
}
POINT = {**ROW, "bytes_per_token": 46080.0, "placement": "all", "pooling": 1, "layers": 30}
REPORT = {
    "perplexity": [{**ROW, "reader": "<b>mine</b>"}],
    "pareto": [
        {
            "reader": TEXT,
            "bytes_per_token": 3.4,
            "nll": {"none": 2.0, "text": 1.1},
            "machine": "",
            "missing": [],
        },
        {**POINT, "reader": "kv, all", "nll": {"own": 1.0}, "S": estimate(1.1)},
        {**POINT, "reader": "kv, all", "nll": {"own": 1.2}, "S": estimate(0.8), "pooling": 2},
    ],
}


def test_each_part_of_a_report_has_its_plots():
    assert set(pictures(REPORT)) == {"remote.png", "packages.png", "pareto.png"}
    assert set(pictures({"pareto": REPORT["pareto"]})) == {"pareto.png"}
    assert pictures({}) == {}
    assert all(one.startswith(b"\x89PNG") for one in pictures(REPORT).values())


def test_the_page_says_first_what_s_is_and_what_each_reader_has():
    text = page(REPORT, pictures(REPORT))
    short = text[: text.index("<h2>")]
    assert "S is what a repository" in short
    assert "1.10 [1.00, 1.30]" in short
    assert "the router finds a deciding piece for 50% of the lines" in text
    assert "the sentence encoder" not in text
    assert "Missing: seeds 2 and 3." in text
    assert "own_minus" not in text  # no condition is explained that was not measured


def test_the_page_stands_alone_and_nothing_of_a_report_is_markup():
    text = page(REPORT, pictures(REPORT))
    assert "&lt;b&gt;mine" in text
    assert "<b>" not in text
    assert text.count("src=") == text.count('src="data:image/png;base64,') == 3


def test_text_and_memory_are_points_of_one_plot():
    text = page({"pareto": REPORT["pareto"]}, {})
    assert "<td>3.4</td>" in text
    assert "<td>46,080</td>" in text
