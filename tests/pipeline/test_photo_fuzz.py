"""Damaged files of every format are refused or decoded: no crash, no hang, no gigabytes."""

import pytest

from tests.pipeline.fuzzing import run, wholes


@pytest.mark.parametrize("kind", wholes())
def test_damaged_files_end_no_process(kind: str) -> None:
    refused, wrong = run(kind, 30)
    assert not wrong
    assert refused >= 3, "else the mutants were none"


@pytest.mark.long
@pytest.mark.parametrize("kind", wholes())
def test_500_damaged_files_of_a_kind_end_no_process(kind: str) -> None:
    refused, wrong = run(kind, 500)
    assert not wrong
    assert refused >= 50
