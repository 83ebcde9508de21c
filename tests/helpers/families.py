"""One tiny random model of each family, of its own architecture class, in a folder as `save_pretrained` leaves it."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from tokenizers import Tokenizer, decoders, models, normalizers, pre_tokenizers, processors, trainers
from transformers import (
    BloomConfig,
    FalconConfig,
    Gemma2Config,
    Gemma3Config,
    Gemma3TextConfig,
    GPT2Config,
    GPTNeoXConfig,
    LlamaConfig,
    MambaConfig,
    MistralConfig,
    Olmo2Config,
    Phi3Config,
    PreTrainedConfig,
    PreTrainedTokenizerFast,
    Qwen2Config,
    Qwen3Config,
    SiglipVisionConfig,
)
from transformers.models.auto.modeling_auto import AutoModelForCausalLM

from compute.language_models.tokenizer import train_tokenizer

WINDOW = 12
"""Sliding windows are shorter than the questions."""

TEXT = """The capital of France is Paris, and that of Italy is Rome. Which of these is a river? The Nile.
Die Hauptstadt von Frankreich ist Paris. Welcher dieser Namen ist ein Fluss? Der Nil, nicht der Ätna.
عاصمة فرنسا هي باريس وعاصمة إيطاليا هي روما. أي من هذه نهر؟ النيل، وليس جبل إتنا.
फ़्रांस की राजधानी पेरिस है और इटली की राजधानी रोम है। इनमें से नदी कौन सी है? नील, एटना नहीं।
Question: Answer: Frage: Antwort: السؤال: الجواب: प्रश्न: उत्तर: A B C D 1 2 3 4 5 6 7 8 9 0"""

CHAT_TEMPLATE = (
    "{{ bos_token or '' }}{% for message in messages %}<|{{ message['role'] }}|>\n{{ message['content'] }}\n"
    "{% endfor %}{% if add_generation_prompt %}<|assistant|>\n{% endif %}"
)
"""It writes the first token itself, where there is one, and ends in white space, as Llama's does."""


def byte_level(begins: bool) -> PreTrainedTokenizerFast:
    """Byte-level BPE, as of Llama 3 (`begins`: with a first token of its own) and of Qwen and GPT-NeoX (without)."""
    tokenizer = train_tokenizer(TEXT.splitlines(), 400, 4096)
    if not begins:
        tokenizer.backend_tokenizer.post_processor = processors.ByteLevel(trim_offsets=False)
        tokenizer.bos_token = None
    tokenizer.chat_template = CHAT_TEMPLATE
    return tokenizer


def metaspace() -> PreTrainedTokenizerFast:
    """BPE over characters with ▁ for spaces and bytes for what is unknown, as of Gemma and Mistral."""
    tokenizer = Tokenizer(models.BPE(unk_token="<unk>", byte_fallback=True, fuse_unk=True))
    tokenizer.normalizer = normalizers.Sequence([normalizers.Prepend("▁"), normalizers.Replace(" ", "▁")])
    tokenizer.decoder = decoders.Sequence(
        [decoders.Replace("▁", " "), decoders.ByteFallback(), decoders.Fuse(), decoders.Strip(" ", 1, 0)]
    )
    special = ["<pad>", "<s>", "</s>", "<unk>", *(f"<0x{byte:02X}>" for byte in range(256))]
    trainer = trainers.BpeTrainer(vocab_size=560, special_tokens=special, show_progress=False, max_token_length=8)
    tokenizer.pre_tokenizer = pre_tokenizers.Split("▁", "merged_with_next")
    tokenizer.train_from_iterator(TEXT.splitlines(), trainer)
    tokenizer.pre_tokenizer = None
    tokenizer.post_processor = processors.TemplateProcessing(single="<s> $A", special_tokens=[("<s>", 1)])
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        bos_token="<s>",
        eos_token="</s>",
        unk_token="<unk>",
        pad_token="<pad>",
        chat_template=CHAT_TEMPLATE,
        clean_up_tokenization_spaces=False,
    )


@dataclass(frozen=True)
class TinyFamily:
    """How a family's tiny model is made.

    Attributes:
        architecture: the class that loading must give.
        config: its configuration class.
        shape: what differs from `SHAPE`, or all of it if `config` takes other names.
        tokenizer: makes its tokenizer.
    """

    architecture: str
    config: type[PreTrainedConfig]
    shape: Mapping[str, Any]
    tokenizer: Callable[[], PreTrainedTokenizerFast]


SHAPE: Mapping[str, Any] = {
    "hidden_size": 32,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "intermediate_size": 48,
    "max_position_embeddings": 512,
}
_NO_DROPOUT = {"resid_pdrop": 0.0, "embd_pdrop": 0.0, "attn_pdrop": 0.0}
"""`Trainer` switches it on in the base; here the base is frozen as it answers."""
_HEADS_ALIKE = {"num_key_value_heads": 4}
_GEMMA: Mapping[str, Any] = {"head_dim": 8, "query_pre_attn_scalar": 8, "sliding_window": WINDOW}
_LLAMA3_ROPE = {
    "rope_type": "llama3",
    "rope_theta": 10000.0,
    "factor": 8.0,
    "low_freq_factor": 1.0,
    "high_freq_factor": 4.0,
    "original_max_position_embeddings": 64,
}

FAMILIES: Mapping[str, TinyFamily] = {
    "llama": TinyFamily(
        "LlamaForCausalLM", LlamaConfig, {"tie_word_embeddings": True, "rope_parameters": _LLAMA3_ROPE},
        lambda: byte_level(True),
    ),
    "llama-untied": TinyFamily("LlamaForCausalLM", LlamaConfig, {"tie_word_embeddings": False}, metaspace),
    "qwen2": TinyFamily(
        "Qwen2ForCausalLM", Qwen2Config, {"tie_word_embeddings": True}, lambda: byte_level(False)
    ),
    "qwen3": TinyFamily("Qwen3ForCausalLM", Qwen3Config, {"head_dim": 16}, lambda: byte_level(False)),
    "gemma2": TinyFamily(
        "Gemma2ForCausalLM", Gemma2Config,
        {**_GEMMA, "attn_logit_softcapping": 2.0, "final_logit_softcapping": 3.0}, metaspace,
    ),
    "gemma3_text": TinyFamily(
        "Gemma3ForCausalLM", Gemma3TextConfig,
        {**_GEMMA, "num_hidden_layers": 3, "layer_types": ["sliding_attention", "sliding_attention", "full_attention"]},
        metaspace,
    ),
    "gemma3": TinyFamily("Gemma3ForConditionalGeneration", Gemma3Config, {}, metaspace),
    "mistral": TinyFamily("MistralForCausalLM", MistralConfig, {"sliding_window": WINDOW}, metaspace),
    "olmo2": TinyFamily("Olmo2ForCausalLM", Olmo2Config, {}, lambda: byte_level(False)),
    "phi3": TinyFamily("Phi3ForCausalLM", Phi3Config, {"pad_token_id": 0}, metaspace),
    "phi3-window": TinyFamily(
        "Phi3ForCausalLM", Phi3Config, {"pad_token_id": 0, "sliding_window": WINDOW, "partial_rotary_factor": 0.5},
        metaspace,
    ),
    "gpt_neox": TinyFamily("GPTNeoXForCausalLM", GPTNeoXConfig, {"rotary_pct": 0.5}, lambda: byte_level(False)),
    "falcon": TinyFamily(
        "FalconForCausalLM", FalconConfig, {"multi_query": True, "parallel_attn": True}, lambda: byte_level(False)
    ),
    "falcon-alibi": TinyFamily(
        "FalconForCausalLM", FalconConfig, {"alibi": True, "multi_query": False, "parallel_attn": False, "bias": True},
        lambda: byte_level(False),
    ),
    "gpt2": TinyFamily(
        "GPT2LMHeadModel", GPT2Config, {"n_embd": 32, "n_layer": 2, "n_head": 4, "n_positions": 512, **_NO_DROPOUT},
        lambda: byte_level(True),
    ),
    "mamba": TinyFamily("MambaForCausalLM", MambaConfig, {"state_size": 4}, lambda: byte_level(True)),
    "bloom": TinyFamily("BloomForCausalLM", BloomConfig, {"n_head": 4, "n_layer": 2}, lambda: byte_level(True)),
}  # fmt: skip


def save_tiny(name: str, folder: Path) -> Path:
    """The family's model and tokenizer in `folder`; the same weights each time."""
    family = FAMILIES[name]
    tokenizer = family.tokenizer()
    shape: dict[str, Any] = {
        **SHAPE,
        "vocab_size": len(tokenizer),
        "bos_token_id": tokenizer.bos_token_id,
        "eos_token_id": tokenizer.eos_token_id,
        **family.shape,
    }
    config: Any
    if family.config is Gemma3Config:
        text = Gemma3TextConfig(**shape, **_GEMMA, layer_types=["sliding_attention", "full_attention"])
        vision = SiglipVisionConfig(
            hidden_size=16, num_hidden_layers=1, num_attention_heads=2, intermediate_size=16, image_size=28,
            patch_size=14,
        )  # fmt: skip
        config = Gemma3Config(
            text_config=text, vision_config=vision, mm_tokens_per_image=4, image_token_index=len(tokenizer) - 1,
            boi_token_index=len(tokenizer) - 2, eoi_token_index=len(tokenizer) - 3,
        )  # fmt: skip
    else:
        config = family.config(**shape)
    torch.manual_seed(0)
    model: Any = AutoModelForCausalLM.from_config(config)
    assert type(model).__name__ == family.architecture
    with torch.no_grad():
        for parameter in model.parameters():
            # Larger than usual, so that a token seen or not makes a difference.
            parameter.mul_(4 if parameter.dim() > 1 else 1)
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    assert json.loads((folder / "config.json").read_text())["architectures"] == [family.architecture]
    return folder
