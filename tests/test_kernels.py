"""The table of kernels."""

import pytest

from tritonforge.kernels import Kernel, kernels


def test_kernels_of_an_operator_by_version_and_type():
    found = {each.since: each for each in kernels("1.19.2", "cpu", "ai.onnx", "Relu")}
    assert sorted(found) == [6, 13, 14]
    assert found[6].until == 12
    assert found[14].types["T"] == {"float", "double", "int8", "int32"}


def test_patches_agree_and_what_is_not_registered_has_none():
    args = ("cuda", "com.microsoft", "BiasGelu")
    assert kernels("1.19.2", *args) == kernels("1.19.0", *args) != ()
    assert kernels("1.19.2", "cpu", "ai.onnx", "NoSuchOperator") == ()
    assert kernels("1.14.1", "cpu", "ai.onnx", "Gelu") == ()  # of opset 20


@pytest.mark.parametrize(
    ("since", "until", "covered"), [(13, None, {13}), (6, 12, {6, 7, 12}), (1, 1, {1})]
)
def test_without_an_end_a_kernel_serves_its_own_version_alone(since, until, covered):
    kernel = Kernel(since=since, until=until, types={})
    assert {each for each in (1, 5, 6, 7, 12, 13, 14) if kernel.covers(each)} == covered
