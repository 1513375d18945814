"""Architectures of three libraries come from a name to parity, but for those with a known cause."""

import architectures
import pytest

# A few that are small, of each library and each way that they are called.
QUICK = (
    *("torchvision:squeezenet1_1", "torchvision:mobilenet_v3_small"),
    *("timm:efficientvit_m0", "timm:resnet10t"),
    *("hf:albert", "hf:clip_text_model", "hf:layoutlm"),
)


@pytest.mark.parametrize("keys", [QUICK, pytest.param((), marks=pytest.mark.slow)])
def test_architectures_come_through_a_build_and_a_server(keys, embedded, tmp_path):
    wanted = [each for each in architectures.listed() if not keys or each.key in keys]
    found = {
        each.key: cause for each, cause, _ in architectures.through(wanted, tmp_path, embedded)
    }
    known = architectures.read_table()
    assert found == {key: known[key] for key in found}
    assert len(found) == len(keys or known)


@pytest.mark.parametrize("library", ["torchvision", "timm", "hf"])
def test_of_each_library_nearly_all_come_through(library):
    causes = [cause for key, cause, _ in architectures.rows() if key.startswith(f"{library}:")]
    passed = causes.count("")
    assert passed >= 40
    assert passed >= 0.95 * len(causes)


def test_the_table_holds_what_is_listed():
    assert [key for key, _, _ in architectures.rows()] == [
        each.key for each in architectures.listed()
    ]


def test_the_page_shows_the_table():
    assert architectures.PAGE.read_text("utf-8") == architectures.page(), (
        "run scripts/architectures"
    )
