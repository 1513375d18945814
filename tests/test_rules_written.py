"""What rules find of a text that its message does not keep, and what the server makes of it."""

import pytest
import rulecases
import tiny

from tritonforge import client, server

CPU = "instance_group { count: 1 kind: KIND_CPU }"
# By what the text says of instances: where a count of 0 stands.
GROUPS = {
    CPU: [],
    "instance_group { kind: KIND_CPU }": [],
    "instance_group [ { count: 0 } ]": ["instance_group[0].count"],
    'instance_group { name: "none" count: 0x0 }': ["instance_group[none].count"],
    f"instance_group {{ kind: KIND_CPU }} {CPU}\ninstance_group [ {{ }}, {{ count: 0 }} ]": [
        "instance_group[3].count"
    ],
}


def model(root, groups):
    """Place a model with groups of instances."""
    folder = tiny.double(root, "m")
    config = folder / "config.pbtxt"
    config.write_text(config.read_text().replace(CPU, groups))


@pytest.mark.parametrize("groups", GROUPS)
def test_a_count_of_zero_that_is_written_is_found(tmp_path, groups):
    model(tmp_path, groups)
    found = rulecases.checked(tmp_path).findings
    assert [each.found.at for each in found if each.rule.code == "INS204"] == GROUPS[groups]


def test_a_count_of_zero_is_two_instances(embedded, tmp_path):
    model(tmp_path, "instance_group [ { count: 0 } ]")
    with server.serving(tmp_path, embedded) as endpoint:
        (group,) = client.config(endpoint, "m")["instance_group"]
    assert (group["kind"], int(group["count"])) == ("KIND_CPU", 2)
