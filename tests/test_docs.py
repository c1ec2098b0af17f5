"""The documentation is true: its commands, links, study files and Python blocks are run or looked up."""

import importlib.util
import re
import tomllib
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import pytest

from ferhpo.data.raw import EXPRESSIONS
from ferhpo.space.spec import parse_spec
from ferhpo.study.study import Study
from tests.export.conftest import write

CLONE = Path(__file__).resolve().parents[1]
PAGES = [CLONE / "README.md", CLONE / "CHANGELOG.md", *sorted((CLONE / "docs").glob("*.md"))]
FENCE = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
COMMANDS = (
    "pip install uv && uv run ferhpo search --trials 12 && uv run ferhpo ensemble --top 5\n",
    "pip install uv && uv run pytest\n",
)


def blocks(language: str) -> list[object]:
    """Return every fenced block of a language as a test's parameter, named by page and line."""
    found = []
    for page in PAGES:
        text = page.read_text(encoding="utf-8")
        for match in FENCE.finditer(text):
            if match[1] == language:
                line = text.count("\n", 0, match.start()) + 2
                marks = [pytest.mark.ray] if " = search(" in match[2] else []
                found.append(pytest.param(match[2], id=f"{page.name}:{line}", marks=marks))
    return found


@pytest.fixture(scope="module")
def generator() -> ModuleType:
    """Return docs/generate_cli.py."""
    spec = importlib.util.spec_from_file_location("generate_cli", CLONE / "docs" / "generate_cli.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_command_reference_is_what_help_says(generator: ModuleType) -> None:
    page = generator.PAGE.read_text(encoding="utf-8")
    assert page == generator.generated(page), f"docs/cli.md is out of date; write it anew with: {generator.COMMAND}"


def test_every_command_and_every_option_has_help(generator: ModuleType) -> None:
    for typed, context in generator.commands():
        assert context.command.help, typed
        options = [p for p in context.command.params if not getattr(p, "help", None)]
        assert options == [], typed


def test_every_command_is_mentioned_outside_the_reference(generator: ModuleType) -> None:
    readme = (CLONE / "README.md").read_text(encoding="utf-8")
    for typed, context in generator.commands():
        if not getattr(context.command, "commands", None):  # a group by itself does nothing
            assert typed.removeprefix("ferhpo ") in readme, typed


@pytest.mark.parametrize("command", COMMANDS)
def test_the_readme_has_the_two_commands_in_blocks_of_their_own(command: str) -> None:
    readme = (CLONE / "README.md").read_text(encoding="utf-8")
    assert [block for _, block in FENCE.findall(readme)].count(command) == 1


@pytest.mark.parametrize("block", blocks("python"))
def test_python_runs(block: str, study: Callable[..., Study], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    study(6, name="quickstart")
    if "Ensemble.load" in block:
        write(tmp_path / "studies" / "quickstart" / "ensemble", classes=EXPRESSIONS, size=48)
    monkeypatch.chdir(tmp_path)
    exec(compile(block, "documentation", "exec"), {"__name__": "__main__"})


@pytest.mark.parametrize("block", blocks("toml"))
def test_a_study_file_parses(block: str) -> None:
    parse_spec(block, name="mine")


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_relative_links_lead_somewhere(page: Path) -> None:
    text = FENCE.sub("", page.read_text(encoding="utf-8"))
    for target in re.findall(r"\]\(([^)\s]+)\)", text):
        if re.match(r"[a-z]+:", target):
            continue
        path, _, anchor = target.partition("#")
        found = page if not path else (page.parent / path).resolve()
        assert found.exists(), f"{page.name} links to {target}"
        if anchor:
            assert anchor in anchors(found.read_text(encoding="utf-8")), f"{page.name} links to {target}"


def anchors(text: str) -> set[str]:
    """Return the anchors of a page's headings, as the usual viewers make them."""
    headings = re.findall(r"^#+ (.+)$", FENCE.sub("", text), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def test_the_layout_in_design_names_every_file() -> None:
    words = set(re.findall(r"[\w.]+", (CLONE / "docs" / "design.md").read_text(encoding="utf-8")))
    files = [p for p in (CLONE / "ferhpo").rglob("*.py") if not p.stem.startswith("__") and p.parent.name != "formats"]
    assert sorted(str(p) for p in files if p.name not in words) == []


def test_the_layers_in_the_documents_are_those_of_import_linter() -> None:
    contracts = tomllib.loads((CLONE / "pyproject.toml").read_text(encoding="utf-8"))["tool"]["importlinter"][
        "contracts"
    ]
    layers = next(c["layers"] for c in contracts if c["type"] == "layers")
    wanted = [sorted(layer.split(" | ")) for layer in layers if layer != "__main__"]
    for page in (CLONE / "README.md", CLONE / "docs" / "design.md"):
        shown = [text for _, text in FENCE.findall(page.read_text(encoding="utf-8")) if text.startswith("cli")]
        rows = [re.split(r" {2,}", line)[0].split(" | ") for line in shown[0].splitlines()]
        assert [sorted(row) for row in rows] == wanted, page.name


def test_the_changelog_knows_this_version() -> None:
    from ferhpo import __version__

    assert f"## [{__version__}]" in (CLONE / "CHANGELOG.md").read_text(encoding="utf-8")
