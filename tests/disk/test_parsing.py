"""JSON and YAML of strangers are read within limits."""

import pytest

from audiotok.disk.parsing import parse_json, parse_yaml


def test_json_that_is_nested_too_deeply_is_refused():
    with pytest.raises(ValueError, match="nested"):
        parse_json("[" * 200_000)


def test_yaml_numbers_are_those_of_omegaconf():
    assert parse_yaml("lr: 1e-3") == {"lr": 0.001}
