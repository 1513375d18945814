"""Architectures of three libraries come from a name to parity, but for those with a known cause."""

import architectures
import pytest

# A few that are small, of each library.
QUICK = ("torchvision:squeezenet1_1", "timm:test_resnet", "hf:layoutlm")


@pytest.mark.parametrize("keys", [QUICK, pytest.param((), marks=pytest.mark.slow)])
def test_architectures_come_through_a_build_and_a_server(keys, embedded, tmp_path):
    known = architectures.read_table()
    wanted = [each for each in architectures.listed() if each.key in (keys or known)]
    found = {
        each.key: cause for each, cause, _ in architectures.through(wanted, tmp_path, embedded)
    }
    assert found == {key: known[key] for key in found}
    assert len(found) == len(keys or known)


def test_the_table_holds_none_that_is_not_listed():
    listed = [each.key for each in architectures.listed()]
    assert [key for key in listed if key in architectures.read_table()] == [
        key for key, _, _ in architectures.rows()
    ]


def test_the_page_shows_the_table():
    assert architectures.PAGE.read_text("utf-8") == architectures.page(), (
        "run scripts/architectures"
    )
