"""Architectures of three libraries come from a name to parity, but for those with a known cause."""

import architectures
import pytest

# A few that are small, of each library.
QUICK = ("torchvision:squeezenet1_1", "timm:test_resnet", "hf:layoutlm")


# Of the list of each library so many come through, and so large a share.
MANY, MOST = 40, 0.95
LIBRARIES = ("torchvision", "timm", "hf")


def check(wanted, tmp_path, tools):
    """Run architectures and hold what comes of each against the table."""
    known = architectures.read_table()
    found = {each.key: cause for each, cause, _ in architectures.through(wanted, tmp_path, tools)}
    assert found == {each.key: known[each.key] for each in wanted}


def test_a_few_architectures_come_through_a_build_and_a_server(embedded, tmp_path):
    wanted = [each for each in architectures.listed() if each.key in QUICK]
    assert len(wanted) == len(QUICK)
    check(wanted, tmp_path, embedded)


@pytest.mark.slow
@pytest.mark.parametrize("library", LIBRARIES)
def test_all_architectures_of_a_library_do_as_the_table_says(library, embedded, tmp_path):
    listed = [each for each in architectures.listed() if each.library == library]
    check(listed, tmp_path, embedded)


@pytest.mark.parametrize("library", LIBRARIES)
def test_most_of_each_library_comes_through(library):
    causes = [
        cause for key, cause in architectures.read_table().items() if key.startswith(f"{library}:")
    ]
    passed = causes.count("")
    assert passed >= MANY
    assert passed >= MOST * len(causes)


def test_the_table_holds_all_that_are_listed():
    listed = [each.key for each in architectures.listed()]
    assert listed == [key for key, _, _ in architectures.rows()]


def test_the_page_shows_the_table():
    assert architectures.PAGE.read_text("utf-8") == architectures.page(), (
        "run scripts/architectures"
    )
