"""The comparison's page shows table, curves and confusion matrices, and loads nothing."""

from pathlib import Path

from ferhpo.report.comparison import Shown, write_comparison
from ferhpo.study.study import Study


def test_the_page_has_the_table_and_a_section_a_system(full: Study, tmp_path: Path) -> None:
    shown = Shown(
        name="cbam <b>",
        description="a system",
        notes=["it starts from `random` weights"],
        studies=[("Searched", full)],
        confusions=[("Ensemble", [[3, 1], [0, 4]])],
        classes=["happy", "sad"],
    )
    lines = [{"system": "cbam", "val_accuracy": ("0.5000", 0.5)}]
    path = write_comparison(
        tmp_path / "c.html", "what it is", {"system": "System", "val_accuracy": "Val"}, lines, [shown]
    )
    page = path.read_text()
    assert "<td>cbam</td>" in page
    assert "cbam &lt;b&gt;" in page
    assert "Searched: accuracy after each epoch." in page
    assert "Ensemble: test rows, by label and answer." in page
    assert "<code>random</code>" in page
    assert "https://" not in page.split("<script>")[0]
