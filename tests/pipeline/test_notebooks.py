"""The notebooks run on a published snapshot as a person would run them, and leave it as it was."""

import asyncio
import shutil
from pathlib import Path

import nbclient
import nbformat
import pytest

from weaver_forge.settings import Settings

NOTEBOOKS = sorted((Path(__file__).parents[2] / "notebooks").glob("*.ipynb"))


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_a_notebook_runs_on_a_published_snapshot(lived: tuple[Settings, object], path: Path, tmp_path: Path) -> None:
    settings, _events = lived
    root = tmp_path / "deployment"
    shutil.copytree(settings.root, root, ignore=shutil.ignore_patterns("organisation", "input", "mlflow"))
    notebook = nbformat.read(path, as_version=4)
    before = {file: file.stat().st_size for file in (root / "data" / "published").iterdir() if file.is_file()}

    client = nbclient.NotebookClient(notebook, timeout=120, resources={"metadata": {"path": str(root)}})
    asyncio.run(client.async_execute())  # `execute` makes an event loop that nobody closes, nor its pair of sockets

    outputs = [output for cell in notebook.cells if cell.cell_type == "code" for output in cell.outputs]
    pictures = [output for output in outputs if "image/png" in output.get("data", {})]
    assert len(pictures) >= 2
    assert {file: file.stat().st_size for file in (root / "data" / "published").iterdir() if file.is_file()} == before


def test_notebooks_are_committed_without_outputs() -> None:
    assert NOTEBOOKS
    for path in NOTEBOOKS:
        cells = nbformat.read(path, as_version=4).cells
        assert all(not cell.outputs and cell.execution_count is None for cell in cells if cell.cell_type == "code")
