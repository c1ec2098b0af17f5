"""Whatever is not made as HTML stays text."""

from ferhpo.report.markup import Html, count, duration, join, prose, table, tag, text

HOSTILE = "<script>alert('x')</script>"


def test_a_child_that_is_text_is_escaped_and_one_that_is_html_is_not() -> None:
    assert tag("p", HOSTILE) == "<p>&lt;script&gt;alert(&#x27;x&#x27;)&lt;/script&gt;</p>"
    assert tag("p", tag("b", "<")) == "<p><b>&lt;</b></p>"


def test_an_attribute_cannot_end_its_own_quotes() -> None:
    assert tag("a", "x", title='" onclick="alert(1)') == '<a title="&quot; onclick=&quot;alert(1)">x</a>'


def test_joined_text_is_escaped_and_nothing_is_left_out() -> None:
    assert join([Html("<br>"), None, "<"]) == "<br>&lt;"


def test_backticks_become_code_and_nothing_else_does() -> None:
    assert prose("run `a<b` <now>") == "run <code>a&lt;b</code> &lt;now&gt;"


def test_a_table_escapes_its_cells_and_sorts_numbers_by_their_value() -> None:
    made = table({"a": "A<", "b": "B"}, [{"a": HOSTILE, "b": ("1.0", 1)}], marked=[0])
    assert "<script" not in made
    assert '<td class="n" data-sort="1">1.0</td>' in made
    assert '<tr class="best">' in made


def test_values_are_shown_to_four_digits_and_nothing_as_a_dash() -> None:
    shown = [text(v) for v in (0.123456, 3, 1234567, None, float("nan"), True, "sgd")]
    assert shown == ["0.1235", "3", "1\u202f234\u202f567", "\u2013", "\u2013", "yes", "sgd"]


def test_durations_have_two_units() -> None:
    shown = [duration(s) for s in (4.2, 59, 60, 3725, 90000, float("nan"))]
    assert shown == ["4.2 s", "59 s", "1 min 0 s", "1 h 2 min", "1 d 1 h", "\u2013"]


def test_a_number_stands_with_its_noun() -> None:
    assert [count(n, "trial") for n in (0, 1, 2)] == ["0 trials", "1 trial", "2 trials"]
