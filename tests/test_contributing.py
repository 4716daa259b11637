"""The walk of CONTRIBUTING, done literally: a new family is one file and one line."""

import os
import re
import shutil
import subprocess
import sys

import cv2
import numpy as np
import pytest

from tests.conftest import ROOT, load_yaml, run_stage, write_params


def contributing(title: str) -> tuple[str, str]:
    """A section of CONTRIBUTING, and the code that it shows."""
    text = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
    section = text.split(f"## {title}\n", 1)[1].split("\n## ", 1)[0]
    (code,) = re.findall(r"```python\n(.*?)```", section, re.DOTALL)
    return section, code


def test_a_corruption_is_added_as_contributing_says(tmp_path, astronaut) -> None:
    for room in ("pipeline", "stages"):
        shutil.copytree(ROOT / room, tmp_path / room)
    text, code = contributing("Add a corruption in five minutes")
    (tmp_path / "pipeline/corruptions/fog.py").write_text(re.sub(r"(?m)^ {3}", "", code))
    (line,) = re.findall(r"`- (\{family: fog.*?\})`", text, re.DOTALL)
    params = load_yaml(ROOT / "params.yaml")
    write_params(tmp_path, params)
    written = (tmp_path / "params.yaml").read_text(encoding="utf-8")
    (tmp_path / "params.yaml").write_text(
        written.replace("    steps:\n", f"    steps:\n    - {' '.join(line.split())}\n", 1)
    )
    photo = tmp_path / "photo.png"
    photo.write_bytes(cv2.imencode(".png", astronaut[..., ::-1])[1].tobytes())
    run_stage(
        tmp_path, "preview", photo, "--recipe", "fog", "-n", "2", "-o", tmp_path / "sheet.png",
        "--no-masks", PYTHONPATH=str(tmp_path),
    )  # fmt: skip
    sheet = cv2.imdecode(np.fromfile(tmp_path / "sheet.png", np.uint8), cv2.IMREAD_COLOR)
    small = cv2.resize(astronaut[..., ::-1], (256, 256), interpolation=cv2.INTER_AREA)
    assert sheet.shape == (256, 2 * 256 + 4, 3)
    assert sheet[:, :256].mean() > small.mean() + 5, "fog lightens"
    told = run_stage(tmp_path, "check", check=False, PYTHONPATH=str(tmp_path))
    assert "pipeline/corruptions/fog.py" in told.stderr, "check names the line for synth.reads"


@pytest.mark.slow
def test_the_added_corruption_is_tested_at_once(tmp_path) -> None:
    for room in ("pipeline", "stages", "tests"):
        shutil.copytree(ROOT / room, tmp_path / room)
    for file in ("params.yaml", "pyproject.toml", "dvc.yaml"):
        shutil.copyfile(ROOT / file, tmp_path / file)
    _, code = contributing("Add a corruption in five minutes")
    fog = tmp_path / "pipeline/corruptions/fog.py"
    fog.write_text(re.sub(r"(?m)^ {3}", "", code))
    here = {"cwd": tmp_path, "capture_output": True, "text": True}
    home = {**os.environ, "PYTHONPATH": str(tmp_path), "OMP_NUM_THREADS": "1"}
    pins = [sys.executable, "-m", "tests.pipeline.corruptions.pins"]
    assert subprocess.run(pins, env=home, **here).returncode == 0
    contract = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-k", "fog",
                "tests/pipeline/corruptions/test_contract.py",
                "tests/pipeline/corruptions/test_severity.py"]  # fmt: skip
    done = subprocess.run(contract, env=home, **here)
    assert done.returncode == 0 and done.stdout.count(".") > 12, done.stdout
    fog.write_text(fog.read_text().replace("return mixed.reshape", "return (mixed + 1).reshape"))
    done = subprocess.run(contract, env=home, **here)
    assert done.returncode == 1 and "raise the version of fog" in done.stdout


def test_a_metric_is_added_as_contributing_says(tmp_path) -> None:
    """One function in a file of the room: registered, and measured by a ruler, at once."""
    shutil.copytree(ROOT / "pipeline", tmp_path / "pipeline")
    _, code = contributing("Add a metric")
    room = tmp_path / "pipeline/metrics"
    (room / "peak.py").write_text(code, encoding="utf-8")
    listed = (room / "__init__.py").read_text(encoding="utf-8")
    listed = listed.replace("import ciede2000,", "import peak, ciede2000,", 1)
    (room / "__init__.py").write_text(listed, encoding="utf-8")
    use = (
        "import numpy as np; from pipeline.metrics import METRICS, Ruler;"
        "a = np.full((20, 20, 3), 9, np.uint8); b = a.copy(); b[3, 4, 1] = 50;"
        "print('peak_error' in METRICS, Ruler(a, None).measure(b)['peak_error'])"
    )
    environment = {**os.environ, "PYTHONPATH": str(tmp_path)}
    done = subprocess.run(
        [sys.executable, "-c", use], cwd=tmp_path, env=environment, capture_output=True, text=True
    )
    assert done.stdout.split() == ["True", "41.0"], done.stderr
