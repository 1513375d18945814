"""What ONNX's own node models give in-process they give when built and served."""

import corpus
import pytest

SHARE = 40  # every so many-th model in the quick run


@pytest.mark.parametrize("step", [SHARE, pytest.param(1, marks=pytest.mark.slow)])
def test_node_models_come_through_a_build_and_a_server(step, embedded, tmp_path):
    nodes = [node for node in corpus.models()[::step] if corpus.inexpressible(node) is None]
    alone = corpus.in_process(nodes, tmp_path, embedded)
    nodes = [node for node in nodes if alone.get(node.name, "refused")[:7] != "refused"]
    wrong = corpus.through(nodes, tmp_path, embedded)
    known = corpus.read_table()
    assert {name: said for name, said in wrong.items() if name not in known} == {}
    assert len(nodes) >= 1200 // step
    assert len(wrong) <= 0.05 * len(nodes)
    if step == 1:
        assert set(wrong) == set(known)


def test_the_others_fail_for_the_cause_that_the_table_gives(embedded, tmp_path):
    known = corpus.read_table()
    nodes = [node for node in corpus.models() if node.name in known]
    alone = corpus.in_process(nodes, tmp_path, embedded)
    wrong = corpus.through(nodes, tmp_path, embedded)
    found = {
        node.name: corpus.cause(node, alone[node.name], wrong.get(node.name, "it comes through"))
        for node in nodes
    }
    assert found == known
