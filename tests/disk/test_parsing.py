"""JSON and YAML of strangers are read within limits."""

import os

import pytest

from audiotok.disk.parsing import parse_json, parse_yaml, read_text


def test_json_that_is_nested_too_deeply_is_refused():
    with pytest.raises(ValueError, match="nested"):
        parse_json("[" * 200_000)


def test_yaml_numbers_are_those_of_omegaconf():
    assert parse_yaml("lr: 1e-3") == {"lr": 0.001}


@pytest.mark.parametrize(
    "text", ['{"a": ' * 150 + "1" + "}" * 150, '{"a": ' + "9" * 400 + "}", '{"a": -1e400}']
)
def test_json_beyond_limits_is_refused(text):
    with pytest.raises(ValueError, match=r"nested|digits|beyond"):
        parse_json(text)


_BOMB = "a0: &a0 [x, x]\n" + "".join(f"a{i}: &a{i} [*a{i - 1}, *a{i - 1}]\n" for i in range(1, 40))


@pytest.mark.parametrize(
    "text",
    [
        _BOMB,
        "a: &a {x: 1}\nb:\n  <<: *a",
        "lr: " + "9" * 400,
        "a: " + "[" * 200 + "]" * 200,
        "a: " + "[" * 200_000,
        "a: !!timestamp x",
        "a: !!int ''",
        "a: !!bool x",
        "a: !!set {x}",
        "a: !!binary aGk=",
        "a: !!python/object/apply:os.system [id]",
        "a: 1\x00",
    ],
)
def test_yaml_beyond_limits_is_refused(text):
    with pytest.raises(ValueError, match=r"."):
        parse_yaml(text)


def test_stars_and_dates_in_yaml_are_text():
    assert parse_yaml("a: '*x'\nb: a *b\nc: 2024-01-01") == {"a": "*x", "b": "a *b", "c": "2024-01-01"}


def test_only_regular_files_within_the_limit_are_read(tmp_path):
    pipe, large = tmp_path / "pipe", tmp_path / "large"
    if hasattr(os, "mkfifo"):
        os.mkfifo(pipe)
        with pytest.raises(ValueError, match="regular"):
            read_text(pipe)
    large.write_bytes(b"x" * 11)
    with pytest.raises(ValueError, match="larger than 10"):
        read_text(large, 10)
    with pytest.raises(FileNotFoundError):
        read_text(tmp_path / "missing")
