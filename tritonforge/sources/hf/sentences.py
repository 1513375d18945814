"""Models that make one vector of a text: a transformer, and what sentence-transformers puts behind.

`modules.json` lists the parts; the transformer is made as any other, so that it may have random
weights or those of a file.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from sentence_transformers.sentence_transformer import modules
from torch import nn

from tritonforge.errors import SourceError
from tritonforge.sources.hf.place import Place

_OWN = "sentence_transformers."


class Embedder(nn.Module):
    """A transformer and the parts that make its tokens' vectors one, of `forward(ids, mask)`."""

    def __init__(self, transformer: Any, parts: Sequence[nn.Module]) -> None:
        super().__init__()
        self.transformer = transformer
        self.parts = nn.ModuleList(parts)
        self.config = transformer.config

    def forward(
        self,
        input_ids: torch.Tensor,
        attention_mask: torch.Tensor,
        token_type_ids: torch.Tensor | None = None,
    ) -> dict[str, torch.Tensor]:
        """Return the embedding of each text, as its own library's `encode` does."""
        types = {} if token_type_ids is None else {"token_type_ids": token_type_ids}
        made = self.transformer(input_ids=input_ids, attention_mask=attention_mask, **types)
        features = {"token_embeddings": made[0], "attention_mask": attention_mask}
        for part in self.parts:
            features = part(features)
        return {"sentence_embedding": features["sentence_embedding"]}


def embedder(transformer: Any, listed: Sequence[Mapping[str, Any]], place: Place) -> Embedder:
    """Put behind a transformer the parts that `modules.json` lists; raises `SourceError`.

    Only sentence-transformers' own: a part that comes with the model would be code to run.
    """
    first, *rest = (str(each.get("type", "")) for each in listed)
    if not first.startswith(_OWN) or not first.endswith(".Transformer"):
        raise SourceError(
            f"{place.name} begins with {first or 'nothing'}, which is no transformer",
            hint="name a task behind #, as in #feature-extraction, to build what it can of it",
        )
    parts = []
    for kind, each in zip(rest, listed[1:], strict=True):
        made = getattr(modules, kind.rpartition(".")[2], None) if kind.startswith(_OWN) else None
        if made is None:
            raise SourceError(
                f"{place.name} has a part of kind {kind!r}, which sentence-transformers has not",
                hint="code that comes with a model is never run; #feature-extraction builds the"
                " transformer alone",
            )
        parts.append(_loaded(made, str(each.get("path", "")), place))
    return Embedder(transformer, parts)


def _loaded(made: Any, folder: str, place: Place) -> nn.Module:
    """Load one part from its folder; raises `SourceError`."""
    options = {key: each for key, each in place.options.items() if key != "trust_remote_code"}
    try:
        part: nn.Module = made.load(place.name, subfolder=folder, **options)
    except Exception as error:  # each part reads its config in its own way
        raise SourceError(
            f"cannot read {folder} of {place.name}: {type(error).__name__}: {error}"[:300],
            hint="restore it, or build the transformer alone: #feature-extraction",
        ) from error
    return part
