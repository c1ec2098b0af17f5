"""The shape of the repository: small files, a test for each, layers that hold at run time, a whole wheel."""

import ast
import subprocess
import sys
import tomllib
import zipfile
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).parents[1]
PACKAGE = REPOSITORY / "ferhpo"
MODULES = sorted(p for p in PACKAGE.rglob("*.py") if p.name != "__init__.py")
PROJECT = tomllib.loads((REPOSITORY / "pyproject.toml").read_text())
LINES = 400
UNTESTED = {  # modules without a test file of their own, and why
    "__main__.py": "two lines; tests/cli/test_main.py runs it",
    "compare/judge.py": "tests/compare/test_run.py judges with it",
    "compare/page.py": "tests/cli/test_compare.py writes one",
    "study/attrs.py": "constants alone",
    "report/content.py": "dataclasses alone; tests/report/test_html.py fills them",
    "report/parts.py": "tests/report/test_html.py and test_sections.py draw with it",
    "report/pick.py": "tests/report/test_frames.py picks with it",
    "search/events.py": "dataclasses alone; tests/cli/test_live.py folds them",
    "search/job.py": "a dataclass and a start; tests/search/test_work.py fills them",
    "search/launch.py": "needs a real Ray; tests/search/test_runner.py runs it",
    "search/trainable.py": "needs a real Ray; tests/search/test_runner.py runs it",
    "training/result.py": "a dataclass alone; tests/training/test_loop.py and tests/search/test_objective.py fill it",
    "models/resnet9.py": "tests/models/test_registry.py builds every net",
    "models/vgg.py": "tests/models/test_registry.py builds every net",
}


def test_every_module_has_a_test_file_or_a_reason() -> None:
    names = [p.relative_to(PACKAGE) for p in MODULES]
    lacking = {
        str(n) for n in names if not (REPOSITORY / "tests" / n.parent / f"test_{n.stem.strip('_')}.py").is_file()
    }
    assert lacking == UNTESTED.keys()


def test_every_test_file_has_its_module() -> None:
    free = {
        "test_structure.py",
        "test_docs.py",
        "test_starting_points.py",
        "test_benchmarks.py",
        "test_wishes.py",
    }  # about the whole repository
    names = [p.relative_to(REPOSITORY / "tests") for p in (REPOSITORY / "tests").rglob("test_*.py")]
    stems = {(n.parent, n.stem.removeprefix("test_")) for n in names if n.name not in free}
    modules = {(p.relative_to(PACKAGE).parent, p.stem.strip("_")) for p in MODULES}
    assert stems <= modules


@pytest.mark.parametrize("folder", ["ferhpo", "tests", "benchmarks"])
def test_no_file_is_long(folder: str) -> None:
    lengths = {str(p): len(p.read_text().splitlines()) for p in (REPOSITORY / folder).rglob("*.py")}
    assert {path: n for path, n in lengths.items() if n > LINES} == {}


def test_no_module_is_named_for_nothing() -> None:
    assert not [p for p in MODULES if p.stem in {"utils", "util", "common", "helpers", "misc"}]


@pytest.mark.parametrize("path", sorted(PACKAGE.rglob("__init__.py")), ids=lambda p: str(p.parent.relative_to(PACKAGE)))
def test_a_folder_says_what_comes_in_and_goes_out_and_what_it_never_does(path: Path) -> None:
    tree = ast.parse(path.read_text())
    doc = ast.get_docstring(tree)
    assert doc
    if path.parent != PACKAGE:
        assert "In:" in doc
        assert "Out:" in doc
        assert "Never:" in doc
        called = path.parent == PACKAGE / "search"  # `from ferhpo import search` finds the folder, so it can be called
        assert len(tree.body) == 1 or called, "import from the module that defines a name"


HEAVY = {"torch", "torchvision", "ray", "timm"}
FORBIDDEN = {
    "ferhpo.cli.main": HEAVY | {"optuna", "numpy", "pandas", "sklearn", "plotly", "sqlalchemy", "rich"},
    "ferhpo.space.spec": HEAVY | {"optuna", "pandas", "sklearn", "plotly"},
    "ferhpo.study.study": HEAVY | {"pandas", "sklearn", "plotly", "typer"},
    "ferhpo.ensemble.build": HEAVY | {"pandas", "plotly", "typer"},
    "ferhpo.report.html": HEAVY | {"typer"},
    "ferhpo.report.document": HEAVY | {"pandas", "plotly", "typer"},
}


@pytest.mark.parametrize("entry", FORBIDDEN)
def test_an_import_drags_in_nothing_that_its_layer_forbids(entry: str) -> None:
    program = f"import sys, {entry}\nprint(*sorted({FORBIDDEN[entry]!r} & sys.modules.keys()))"
    ran = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert ran.stdout == "\n"


def name_of(requirement: str) -> str:
    """Return the distribution that a requirement names."""
    return requirement.split(";")[0].partition("[")[0].split("=")[0].strip(" ><~!").lower().replace("_", "-")


def direct() -> set[str]:
    project = PROJECT["project"]
    extras = [r for group in project["optional-dependencies"].values() for r in group]
    return {name_of(r) for r in (*project["dependencies"], *extras, *PROJECT["dependency-groups"]["dev"])}


def test_every_direct_dependency_is_pinned_to_one_version() -> None:
    pins = PROJECT["tool"]["uv"]["constraint-dependencies"]
    assert all("==" in pin for pin in pins)
    assert direct() <= {name_of(pin) for pin in pins}


THROUGH = {  # pinned all the same
    "sqlalchemy": "Optuna's storage is made of it, in the version that Optuna wants",
    "huggingface_hub": "timm's way to pretrained weights, in the version that timm wants",
}


def test_every_imported_distribution_is_a_direct_dependency() -> None:
    called = {
        "PIL": "pillow",
        "sklearn": "scikit-learn",
        "optuna_dashboard": "optuna-dashboard",
        "cv2": "opencv-python-headless",
    }
    imported = set()
    for path in MODULES:
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Import):
                imported |= {alias.name.partition(".")[0] for alias in node.names}
            elif isinstance(node, ast.ImportFrom) and node.module:
                imported.add(node.module.partition(".")[0])
    foreign = imported - set(sys.stdlib_module_names) - {"ferhpo"}
    assert {called.get(name, name) for name in foreign} - THROUGH.keys() <= direct()


@pytest.mark.slow  # builds the package
def test_the_wheel_carries_every_study_file_and_every_module(tmp_path: Path) -> None:
    subprocess.run(["uv", "build", "--wheel", "--out-dir", str(tmp_path)], cwd=REPOSITORY, check=True, timeout=200)
    (wheel,) = tmp_path.glob("*.whl")
    names = set(zipfile.ZipFile(wheel).namelist())
    folder = REPOSITORY / "studies"
    files = [*folder.glob("*.toml"), *(folder / "starting_points").glob("*.toml")]
    studies = {f"ferhpo/_studies/{p.relative_to(folder).as_posix()}" for p in files}
    assert studies <= names
    assert {p.relative_to(REPOSITORY).as_posix() for p in MODULES} <= names
    there = {
        p.relative_to(REPOSITORY).as_posix()
        for p in PACKAGE.rglob("*")
        if p.is_file() and p.parent.name != "__pycache__"
    }
    assert {n for n in names if n.startswith("ferhpo/")} == there | studies, "nothing that runs left behind is carried"
