"""A dozen and more torchvision architectures, from a name to parity on the real server."""

import pytest

from tritonforge import release
from tritonforge.build import build
from tritonforge.parity import Wish, parity
from tritonforge.repository import Repository
from tritonforge.spec import ModelSpec

QUICK = ("squeezenet1_1", "mobilenet_v3_small")
REST = (
    *("alexnet", "vgg11_bn", "resnet18", "resnext50_32x4d", "densenet121", "googlenet"),
    *("inception_v3", "efficientnet_b0", "regnet_y_400mf", "shufflenet_v2_x0_5", "mnasnet0_5"),
    *("convnext_tiny", "vit_b_16", "swin_t", "maxvit_t"),
    *("lraspp_mobilenet_v3_large", "deeplabv3_mobilenet_v3_large", "fcn_resnet50", "r3d_18"),
)
SLOW = [pytest.param(name, marks=pytest.mark.slow) for name in REST]


@pytest.mark.parametrize("name", [*QUICK, *SLOW])
def test_from_a_name_to_parity(name, tmp_path):
    repository = Repository(tmp_path / "models")
    spec = ModelSpec(source=name, target=release.find("24.10"), weights="random", max_batch_size=4)
    built = build(spec, repository)
    assert built.unbatched is None
    assert built.manifest.opset == 18
    (report,) = parity(repository, (name,), Wish(), rehearsed=lambda _: None)
    assert report.passed, report
