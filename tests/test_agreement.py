"""What `tritonforge check` says of generated repositories, and what the real server does."""

import agreement
import pytest
import specimens
from accord import report
from judging import key_of
from repertoire import MODEL

from tritonforge.check import check
from tritonforge.repository import Repository

ENOUGH = 0.995
SOME = {"m": 150, "e": 50, "f": 50, "t": 50}
MANY = {kind: 2 * count for kind, count in SOME.items()}


def test_a_seed_makes_the_same_cases():
    one, other = (list(map(key_of, agreement.cases(1, SOME))) for _ in range(2))
    assert one == other
    assert len(set(one)) > 300


def test_the_rules_end_whatever_a_case_holds():
    for case in agreement.cases(2, SOME):
        agreement.refusals(case)


@pytest.mark.parametrize("base", ["row", "none", "outside", "loop", "odd_function"])
def test_the_rules_end_whatever_byte_of_a_file_is_bent(tmp_path, base):
    whole = specimens.case(base, "m").models["m"].files[MODEL]
    for at in range(0, len(whole), 1 + len(whole) // 200):
        for bits in (0x01, 0x80, 0xFF):
            bent = specimens.case(base, f"m{at}_{bits}")
            bent.models[bent.main].files[MODEL] = (
                whole[:at] + bytes([whole[at] ^ bits]) + whole[at + 1 :]
            )
            specimens.place(bent, tmp_path)
    assert not check(Repository(tmp_path)).failures


@pytest.mark.slow
def test_rules_and_server_agree():
    results = list(agreement.compared(list(agreement.cases(3, MANY))))
    counted = [each for each in results if not each.excluded]
    assert len(counted) > 500, report(results)
    for outcome in ("refused", "loaded"):
        of = [each for each in counted if each.verdict.outcome == outcome]
        assert sum(each.agrees for each in of) >= ENOUGH * len(of), report(results)
    placed = [each for each in counted if each.place is not None]
    assert sum(each.is_placed for each in placed) >= 0.95 * len(placed), report(results)
