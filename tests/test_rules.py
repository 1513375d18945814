"""Every rule tells what it is, and no two have a code."""

import re

import pytest

from tritonforge import rules
from tritonforge.errors import SpecError


@pytest.mark.parametrize("rule", rules.RULES, ids=lambda rule: rule.code)
def test_a_rule_says_what_holds_why_where_that_is_written_and_what_to_do(rule):
    assert re.fullmatch(r"[A-Z]{3}[0-9]{3}", rule.code)
    assert all((rule.title, rule.reason, rule.source, rule.remedy))


def test_no_two_rules_have_a_code():
    codes = [rule.code for rule in rules.RULES]
    assert len(set(codes)) == len(codes)


def test_an_unknown_code_is_an_error_that_names_a_near_one():
    assert rules.find("bat101").code == "BAT101"
    with pytest.raises(SpecError) as caught:
        rules.find("BAT1O1")
    assert caught.value.hint == "did you mean 'BAT101'?"
