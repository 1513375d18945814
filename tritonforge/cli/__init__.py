"""The command line: reading this file is reading the table of contents."""

from tritonforge.cli.group import Forge, Later

main = Forge(
    name="tritonforge",
    help="Take a model to a proven deployment on NVIDIA Triton Inference Server.",
)
main.section(
    "Foresee",
    targets=Later("List the releases that a model can be built for, or tell one TARGET whole."),
    inspect=Later(
        "Tell what is in MODEL: what it takes and gives, its operators, weights and cost."
    ),
    place=Later(
        "Foretell which execution provider each node of MODEL lands on, and why not the chosen one."
    ),
    check=Later("Say what of a repository the server would refuse, or serve as nobody meant."),
)
main.section(
    "Make",
    init=Later("Write a commented tritonforge.toml, with a model for each SOURCE."),
    build=Later("Export SOURCE to ONNX, prove it, and add it to the model repository."),
    spec=Later("Show the spec that counts for MODEL, and where each value comes from."),
    config=Later("Read, change and compare what a model's config.pbtxt says."),
)
main.section(
    "Prove",
    parity=Later("Compare what a server answers with what the model gives."),
    perf=Later("Measure throughput and latency of models under load with the real perf_analyzer."),
)
main.section(
    "Serve",
    serve=Later("Serve the models of the repository, or those named, on this machine."),
    toolchain=Later("Install, show or remove the real server and perf_analyzer."),
)
