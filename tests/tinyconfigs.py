"""Configs of transformers' models, as small as their architecture allows: by the names of sizes.

Each kind starts from its own defaults, so that what makes it what it is stays; only sizes shrink.
"""

from typing import Any

import transformers

_SIZES = {
    32: "hidden_size d_model n_embd embed_dim dim projection_dim word_embed_proj_dim hidden_dim"
    " embedding_size text_hidden_size d_embed model_dim emb_dim image_size lm_hidden_size"
    " fusion_hidden_size backbone_hidden_size encoder_hidden_dim encoder_hidden_size"
    " mask_feature_size feature_size decoder_hidden_size input_size",
    2: "num_hidden_layers n_layer n_layers num_layers encoder_layers decoder_layers layers"
    " num_encoder_layers num_decoder_layers num_layer num_blocks decoder_num_layers"
    " decoder_num_hidden_layers qformer_num_hidden_layers num_multimodal_layers",
    4: "num_attention_heads n_head n_heads num_heads encoder_attention_heads num_local_experts"
    " decoder_attention_heads num_key_value_heads decoder_num_heads num_experts n_routed_experts"
    " num_frames conv_kernel decoder_num_attention_heads",
    64: "intermediate_size ffn_dim encoder_ffn_dim decoder_ffn_dim d_ff n_inner mlp_dim d_inner"
    " moe_intermediate_size dim_feedforward shared_expert_intermediate_size n_ctx n_positions"
    " max_position_embeddings decoder_intermediate_size decoder_ffn_dim encoder_ffn_dim",
    8: "head_dim d_kv patch_size rotary_dim qk_rope_head_dim qk_nope_head_dim v_head_dim state_size"
    " hidden_size_per_layer_input",
    16: "kv_lora_rank q_lora_rank num_queries max_source_positions",
    128: "vocab_size vocab_size_per_layer_input",
}
_LARGEST = {name: size for size, names in _SIZES.items() for name in names.split()}
# By stage of a model that narrows the image as it goes.
_STAGES = {
    "hidden_sizes": (8, 16, 32, 64),
    "embed_dims": (8, 16, 32, 64),
    "depths": (1,),
    "num_heads": (2,),
    "num_attention_heads": (2,),
    "layer_depths": (1,),
    "conv_dim": (16,),
}
_TOKENS = {"pad_token_id": 0, "bos_token_id": 1, "eos_token_id": 2, "decoder_start_token_id": 1}
_VOCABULARY = 128


def small(kind: str, **more: Any) -> dict[str, Any]:
    """Return the small config of a kind of model; `more` is what else has to fit."""
    return {**_shrunk(transformers.CONFIG_MAPPING[kind], 0), **more, "model_type": kind}


def _shrunk(made: type, depth: int) -> dict[str, Any]:
    """Return the sizes of a class of config that are above ours, and those of its parts."""
    default = made()
    said, parts = default.to_dict(), getattr(made, "sub_configs", {}) or {}
    known = {name for each in made.__mro__ for name in getattr(each, "__annotations__", {})}
    found = {}
    for name, value in said.items():
        if name in known and name not in parts:
            smaller = _smaller(name, value)
            if smaller is not value:
                found[name] = smaller
    for name, part in parts.items() if depth < 2 else ():
        inner = said.get(name)
        kind = inner.get("model_type") if isinstance(inner, dict) else None
        of = transformers.CONFIG_MAPPING[kind] if part is transformers.AutoConfig and kind else part
        if of is not transformers.AutoConfig:
            found[name] = {**_shrunk(of, depth + 1), "model_type": of.model_type}
    return found


def _smaller(name: str, value: Any) -> Any:
    """Return a value of a config, smaller where it is a size."""
    if isinstance(value, bool) or value is None:
        return value
    if isinstance(value, int):
        if name.endswith(("token_id", "token_index")) and value >= _VOCABULARY:
            return _TOKENS.get(name, 3)
        return min(value, _LARGEST.get(name, value))
    stages = _STAGES.get(name)
    if stages is None or not isinstance(value, list | tuple) or not value:
        return value
    if not isinstance(value[0], int):
        return value
    return [stages[min(at, len(stages) - 1)] for at in range(len(value))]
