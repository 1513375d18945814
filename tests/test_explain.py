"""Texts as torch 2.9 to 2.15 writes them; the real exporters are asked in test_exporting.py."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tritonforge import explain
from tritonforge.explain import failure

TRACE = """
  File "/home/me/.venv/lib/python3.11/site-packages/torch/nn/modules/module.py", line 1775, in _call
    return forward_call(*args, **kwargs)
  File "/home/me/nets/model.py", line 12, in forward
    if x.sum() > 0:
  File "/home/me/.venv/lib/python3.11/site-packages/torch/_tensor.py", line 9, in __bool__
    return 1
"""


def chained(*texts):
    """Make an exception whose causes say `texts`, the outermost first."""
    error = None
    for text in reversed(texts):
        outer = RuntimeError(text)
        outer.__cause__ = error
        error = outer
    return error


def test_control_flow_by_values():
    found = failure(
        chained("Failed to export", "Could not guard on data-dependent expression u0 > 0" + TRACE)
    )
    assert found.kind == "control-flow"
    assert found.where == "model.py:12 (`if x.sum() > 0:`)"
    assert found.sentence == (
        "the model decides by the values of a tensor at model.py:12 (`if x.sum() > 0:`),"
        " which an export cannot follow"
    )
    assert "torch.where" in found.hint


@pytest.mark.parametrize(
    ("text", "operator"),
    [
        (
            "No ONNX function found for <OpOverload(op='aten.linalg_eig', overload='default')>",
            "aten.linalg_eig",
        ),
        (
            "Exporting the operator 'aten::linalg_eigvals' to ONNX opset 9 is not supported",
            "aten.linalg_eigvals",
        ),
        ("No ONNX function found for <OpOverload(op='mylib.op', overload='default')>", "mylib.op"),
    ],
)
def test_an_operator_without_an_onnx_form(text, operator):
    found = failure(chained("Failed to convert the exported program", text), TRACE)
    assert (found.kind, found.operator) == ("operator", operator)
    assert found.sentence.startswith(
        f"the exporter has no ONNX form for the operator {operator} at model.py:12"
    )
    assert "rewrite that line" in found.hint


def test_a_frozen_dimension():
    text = (
        "Constraints violated (batch)! You marked batch as dynamic but your code specialized it:"
        " inferred a static shape of 2 for dimension inputs['x'].shape[0]."
    )
    found = failure(chained("Failed", text))
    assert (found.kind, found.frozen) == ("frozen", ("x", 0, 2))
    assert "static shape of 2" in found.sentence
    by_position = failure(chained(text.replace("['x']", "[1]")))
    assert by_position.frozen == ("1", 0, 2)


def test_what_is_not_known_is_quoted():
    found = failure(chained("outer", "middle", "\n  the innermost reason  \nand more"))
    assert (found.kind, found.where, found.operator) == ("other", None, None)
    assert found.sentence == "the export failed: RuntimeError: the innermost reason"
    assert found.hint


def test_a_mistake_in_our_call_is_not_the_models_control_flow():
    text = "When `dynamic_shapes` is specified as a tuple (torch._dynamo.exc.UserError)"
    assert failure(chained("Failed to export", text)).kind == "other"


def test_an_exception_without_words():
    assert failure(ValueError()).said == "ValueError: no reason given"


def test_a_long_reason_is_cut():
    assert len(failure(ValueError("x" * 9999)).sentence) < 400


def test_our_own_lines_are_not_the_users():
    own = f'  File "{explain.__file__}", line 3, in run\n    return module()\n'
    assert failure(ValueError("x"), own).where is None
    assert failure(ValueError("x"), TRACE + own).where == "model.py:12 (`if x.sum() > 0:`)"


def test_our_own_lines_are_no_librarys_where_we_are_installed(tmp_path):
    place = tmp_path / "site-packages" / "tritonforge"
    place.mkdir(parents=True)
    for name in ("__init__", "explain"):
        shutil.copy(Path(explain.__file__).with_name(f"{name}.py"), place)
    code = (
        "from tritonforge.explain import __file__, failure\n"
        "own = f'  File \"{__file__}\", line 3, in run\\n'\n"
        "print(failure(ValueError('x'), own).where)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=place.parent, capture_output=True, text=True, check=True
    )
    assert done.stdout == "None\n"


LIBRARY = """
  File "/home/me/.venv/lib/python3.11/site-packages/transformers/x/modeling_x.py", line 7, in f
    if mask.any():
  File "/home/me/.venv/lib/python3.11/site-packages/torch/_tensor.py", line 9, in __bool__
    return 1
"""


def test_where_no_line_is_the_users_that_of_the_models_library_is_named():
    found = failure(chained("data-dependent" + LIBRARY))
    assert found.where == "modeling_x.py:7 (`if mask.any():`)"
    assert found.library == "transformers"
    assert found.hint.startswith("that line is of transformers")
    both = failure(chained("data-dependent" + LIBRARY), TRACE)
    assert (both.where, both.library) == ("model.py:12 (`if x.sum() > 0:`)", None)


def test_what_computes_for_the_exporter_is_no_library_of_models():
    sizes = '  File "/home/me/.venv/lib/python3.11/site-packages/sympy/core/x.py", line 5, in f\n'
    assert failure(chained("data-dependent" + LIBRARY + sizes)).library == "transformers"
    assert failure(chained("data-dependent" + sizes)).where is None


def test_the_line_is_also_found_where_only_the_exception_knows_it():
    code = compile(
        "def forward():\n    raise ValueError('u0 is data-dependent')", "/me/net.py", "exec"
    )
    space = {}
    exec(code, space)  # noqa: S102 - a file that there is not
    with pytest.raises(ValueError, match="data-dependent") as caught:
        space["forward"]()
    error = caught.value
    error.__traceback__ = error.__traceback__.tb_next
    assert failure(error).where == "net.py:2"


def test_the_last_line_of_the_user_counts():
    second = '  File "/home/me/nets/layers.py", line 3, in attend\n'
    assert failure(ValueError("x"), TRACE + second).where == "layers.py:3"


def test_causes_and_contexts_are_walked_and_circles_left():
    first, second = ValueError("first"), KeyError("second")
    first.__context__ = second
    assert failure(first).said == "KeyError: 'second'"
    second.__context__ = first
    assert failure(first).said


@given(st.text(), st.text())
def test_no_text_breaks_it(message, stack):
    found = failure(RuntimeError(message), stack)
    assert found.sentence
    assert found.hint
