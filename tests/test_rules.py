"""Every rule tells what it is, and no two have a code."""

import re
from pathlib import Path

import pytest

from tritonforge import rules
from tritonforge.errors import SpecError

ROOT = Path(__file__).parents[1]


@pytest.mark.parametrize("rule", rules.RULES, ids=lambda rule: rule.code)
def test_a_rule_says_what_holds_why_where_that_is_written_and_what_to_do(rule):
    assert re.fullmatch(r"[A-Z]{3}[0-9]{3}", rule.code)
    assert all((rule.title, rule.reason, rule.source, rule.remedy))


@pytest.mark.parametrize("rule", rules.RULES, ids=lambda rule: rule.code)
def test_what_a_rule_names_of_tritonforge_is_there(rule):
    for path in re.findall(r"\btritonforge/[\w/.]*\w", rule.judge.__doc__):
        assert (ROOT / path).exists(), path


def test_no_two_rules_have_a_code():
    codes = [rule.code for rule in rules.RULES]
    assert len(set(codes)) == len(codes)


def test_an_unknown_code_is_an_error_that_names_a_near_one():
    assert rules.find("bat101").code == "BAT101"
    with pytest.raises(SpecError) as caught:
        rules.find("BAT1O1")
    assert caught.value.hint == "did you mean 'BAT101'?"
