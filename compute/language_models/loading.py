"""Loading a causal language model and its tokenizer: tiny ones of ours and real ones through the same code."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path
from typing import Any

import torch
import transformers
from huggingface_hub import constants, snapshot_download
from huggingface_hub.errors import (
    GatedRepoError,
    HfHubHTTPError,
    HFValidationError,
    LocalEntryNotFoundError,
    RepositoryNotFoundError,
    RevisionNotFoundError,
)
from safetensors import SafetensorError, safe_open
from transformers import AutoConfig, AutoTokenizer, PreTrainedConfig, PreTrainedModel, PreTrainedTokenizerBase
from transformers.models.auto.configuration_auto import CONFIG_MAPPING
from transformers.models.auto.modeling_auto import MODEL_FOR_CAUSAL_LM_MAPPING, AutoModelForCausalLM
from transformers.utils.logging import disable_progress_bar, get_verbosity, set_verbosity, set_verbosity_error

from compute.errors import UserError, first_line
from compute.json_text import parse_json
from compute.language_models.encoding import Encoding, render_contexts
from compute.language_models.fidelity import vectors
from compute.language_models.memory import release_memory
from compute.language_models.revisions import check_folder, check_no_adapter, is_folder
from compute.language_models.stored_config import WEIGHTS, check_library, check_weights, unread_weights
from compute.tasks.task import Item

_SMALL_FILES = ("*.json", "*.model", "*.txt", "*.jinja", "*.tiktoken")
_TOKENIZER_FILES = ("tokenizer.json", "*.model", "vocab.*", "*.tiktoken", "tekken.json", "tokenizer_config.json")
_BYTES = {"F64": 8, "I64": 8, "U64": 8, "F32": 4, "I32": 4, "U32": 4, "F16": 2, "BF16": 2, "I16": 2, "U16": 2}
_FLOATS = ("F64", "F32", "F16", "BF16")


_GREETING = Item("greeting", None, "Good morning", (" ",), 0)
"""Put to a chat template when it is loaded: one that leaves it out would leave out every question."""


class LoadingError(ValueError):
    """A model that cannot be loaded; the text is one line that says why and what to do."""


@dataclass(frozen=True)
class ModelDescription:
    """What `raw.models` says of a model.

    Attributes:
        family: transformers' name of the architecture, as `llama`.
        parameters: their number, shared ones counted once.
        architecture: the model's class.
    """

    family: str
    parameters: int
    architecture: str


def load_model(
    path_or_id: str | Path,
    revision: str | None = None,
    dtype: torch.dtype | str = torch.float32,
    device: str | torch.device = "cpu",
    trust_remote_code: bool = False,
    chat_template: bool = False,
    say: Callable[[str], None] = lambda text: None,
) -> tuple[PreTrainedModel, PreTrainedTokenizerBase]:
    """Return the model, frozen and in evaluation mode, and its tokenizer, which has a token to pad with.

    Weights are read from safetensors only.

    Args:
        path_or_id: a folder in `save_pretrained` format, or a name on the hub. A hub's files are downloaded once.
        revision: commit, tag or branch on the hub.
        dtype: of the weights, as torch's or by its name; `auto`: as the model's configuration says.
        device: where to put them.
        trust_remote_code: whether code that comes with the model is run.
        chat_template: whether the tokenizer must have a chat template.
        say: is told, in a line each, what lies beside the weights or in them and is not used.

    Raises:
        LoadingError: no such model, or not one that can be loaded, or more than the device's memory holds; one whose
            logits depend on what comes later, or on padding.
    """
    disable_progress_bar()  # the run has a display of its own
    source = str(path_or_id)
    folder = _small_files(source, revision, trust_remote_code)
    config = _config(source, folder, trust_remote_code)
    tokenizer = _tokenizer(source, folder, trust_remote_code)
    if chat_template:
        try:
            render_contexts(tokenizer, [_GREETING], Encoding(chat_template=True))
        except ValueError as error:
            raise LoadingError(f"model {source}: {str(error).removeprefix(_GREETING.label + ': ')}") from None
    dtype = _dtype(source, dtype)
    device = torch.device(device)
    if device.type == "cuda" and device.index is None:
        device = torch.device("cuda", torch.cuda.current_device())
    index = folder / "model.safetensors.index.json"
    if not is_folder(source):
        if index.is_file():
            _refuse_too_large(source, _index_bytes(index, config, dtype), device)  # before it is downloaded
        folder = _download(source, revision, (*_SMALL_FILES, *WEIGHTS))
    _refuse_too_large(source, _stored_bytes(source, folder, dtype), device)
    unread = unread_weights(folder) if is_folder(source) else []
    if unread:
        say(f"model {source}: not read, though weights may be in them: {', '.join(unread)}")
    model = _load_weights(source, folder, config, dtype, device, trust_remote_code, say)
    _set_padding(source, tokenizer, model)
    model.eval().requires_grad_(False)
    check_reading(source, model)
    return model, tokenizer


def describe_model(
    path_or_id: str | Path, revision: str | None = None, trust_remote_code: bool = False
) -> ModelDescription:
    """Return what the model is, from its configuration: no weights are read or downloaded.

    Raises:
        LoadingError: no such model, or not one that can be loaded.
    """
    source = str(path_or_id)
    config = _config(source, _small_files(source, revision, trust_remote_code), trust_remote_code)
    with torch.device("meta"):
        model: Any = AutoModelForCausalLM.from_config(config, trust_remote_code=trust_remote_code)
    return describe_loaded(model)


def describe_loaded(model: PreTrainedModel) -> ModelDescription:
    """Return what a model is that is there."""
    return ModelDescription(
        family=model.config.model_type,
        parameters=sum(parameter.numel() for parameter in model.parameters()),
        architecture=type(model).__name__,
    )


def _small_files(source: str, revision: str | None, trust_remote_code: bool) -> Path:
    """Return a folder with configuration and tokenizer: the model's own, or the hub's cache."""
    try:
        if is_folder(source):
            check_folder(source)
            return Path(source).expanduser()
        folder = _download(source, revision, (*_SMALL_FILES, "*.py") if trust_remote_code else _SMALL_FILES)
        check_no_adapter(source, folder)
    except UserError as error:
        raise LoadingError(str(error)) from None
    return folder


def _download(name: str, revision: str | None, patterns: tuple[str, ...]) -> Path:
    """Return the hub's files of these names, in its cache; files in folders of a repository are left out."""
    try:
        return Path(snapshot_download(name, revision=revision, allow_patterns=list(patterns), ignore_patterns=["*/*"]))
    except GatedRepoError:
        why = (
            f"it is gated; accept its licence at {constants.ENDPOINT}/{name} and log in (`hf auth login`, or set "
            "HF_TOKEN)"
        )
    except RevisionNotFoundError:
        why = f"the hub has no revision {revision!r} of it"
    except RepositoryNotFoundError:
        near = get_close_matches(name, _downloaded_before(), n=1)
        hint = f"did you mean {near[0]!r}? Else it" if near else "it"
        why = f"the hub has no such model; {hint} may be private (log in with `hf auth login`, or set HF_TOKEN)"
    except HFValidationError:
        why = "neither a folder nor a name on the hub, which is `owner/name`; a folder is written ./like/this"
    except LocalEntryNotFoundError:
        why = (
            "the hub cannot be reached and the model was not downloaded before; download it where there is a network "
            f"(`hf download {name}`), or give a folder"
        )
    except HfHubHTTPError as error:
        why = f"the hub answers: {first_line(error)}"
    except Exception as error:  # the disk's, or of the HTTP library that this version of the hub's client has
        why = f"it cannot be downloaded: {first_line(error)}"
    raise LoadingError(f"model {name}: {why}") from None


def _downloaded_before() -> list[str]:
    folders = Path(constants.HF_HUB_CACHE).glob("models--*")
    return [folder.name.removeprefix("models--").replace("--", "/") for folder in folders]


def _config(source: str, folder: Path, trust_remote_code: bool) -> PreTrainedConfig:
    try:
        raw = parse_json((folder / "config.json").read_text(encoding="utf-8"))
        family, brings_code = raw.get("model_type"), "auto_map" in raw
    except (OSError, ValueError, AttributeError) as error:
        raise LoadingError(f"model {source}: its config.json cannot be read: {first_line(error)}") from None
    known = family in CONFIG_MAPPING
    if not known and brings_code and not trust_remote_code:
        raise LoadingError(
            f"model {source}: its architecture {family!r} is code that comes with the model; read that code, then set "
            "`trust_remote_code: true` to run it"
        )
    if not known and not brings_code:
        raise LoadingError(
            f"model {source}: transformers {transformers.__version__} does not know the architecture {family!r}; a "
            "later version may"
        )
    try:
        config: PreTrainedConfig = AutoConfig.from_pretrained(folder, trust_remote_code=trust_remote_code)
    except Exception as error:  # whatever a configuration of other people's making leads to
        raise LoadingError(f"model {source}: its config.json is not valid: {first_line(error)}") from error
    if known and type(config) not in MODEL_FOR_CAUSAL_LM_MAPPING:
        raise LoadingError(f"model {source}: a {family!r} model, which is no causal language model")
    return config


def _tokenizer(source: str, folder: Path, trust_remote_code: bool) -> PreTrainedTokenizerBase:
    if not any(file for pattern in _TOKENIZER_FILES for file in folder.glob(pattern)):
        raise LoadingError(f"model {source}: it has no tokenizer; save one beside it, as `tokenizer.json`")
    try:
        check_library(folder)
    except ValueError as error:
        raise LoadingError(f"model {source}: {error}") from None
    try:
        tokenizer: PreTrainedTokenizerBase = AutoTokenizer.from_pretrained(folder, trust_remote_code=trust_remote_code)
    except Exception as error:  # as above
        raise LoadingError(f"model {source}: its tokenizer cannot be loaded: {first_line(error)}") from error
    return tokenizer


def _set_padding(source: str, tokenizer: PreTrainedTokenizerBase, model: PreTrainedModel) -> None:
    """Any token that the model has a vector for will do: padding is never attended to."""
    embeddings: Any = model.get_input_embeddings()  # type: ignore[no-untyped-call]
    vectors = len(embeddings.weight)
    tokens = (tokenizer.pad_token_id, tokenizer.eos_token_id, tokenizer.bos_token_id, tokenizer.unk_token_id)
    for token in tokens:
        if token is not None and token < vectors:
            tokenizer.pad_token_id = token
            return
    raise LoadingError(f"model {source}: its tokenizer has neither a padding nor an end-of-text token of the model's")


def _dtype(source: str, dtype: torch.dtype | str) -> torch.dtype | str:
    if not isinstance(dtype, str) or dtype == "auto":
        return dtype
    found = getattr(torch, dtype, None)
    if not isinstance(found, torch.dtype):
        raise LoadingError(f"model {source}: unknown dtype {dtype!r}; known: auto, bfloat16, float16, float32")
    return found


def _stored_bytes(source: str, folder: Path, dtype: torch.dtype | str) -> int:
    """Memory that the weights need, from the headers of their files."""
    try:
        check_weights(folder)
    except ValueError as error:
        raise LoadingError(f"model {source}: {error}") from None
    files = sorted({file for pattern in WEIGHTS for file in folder.glob(pattern)})
    total = 0
    for file in files:
        try:
            with safe_open(file, framework="pt") as weights:
                for name in weights.keys():  # noqa: SIM118  # no mapping
                    tensor = weights.get_slice(name)
                    kind, size = tensor.get_dtype(), None
                    if isinstance(dtype, torch.dtype) and kind in _FLOATS:
                        size = dtype.itemsize
                    total += math.prod(tensor.get_shape()) * (size or _BYTES.get(kind, 1))
        except (SafetensorError, OSError) as error:
            raise LoadingError(f"model {source}: {file.name} is damaged ({first_line(error)}); get it again") from error
    return total


def _index_bytes(index: Path, config: PreTrainedConfig, dtype: torch.dtype | str) -> int:
    """Return the same from the index of a model in several files; 0 where it does not say."""
    try:
        stored = int(parse_json(index.read_text(encoding="utf-8"))["metadata"]["total_size"])
    except (OSError, ValueError, KeyError, TypeError):
        return 0
    own = config.get_text_config(decoder=True).dtype
    if isinstance(dtype, torch.dtype) and isinstance(own, torch.dtype):
        return stored * dtype.itemsize // own.itemsize
    return stored


def _refuse_too_large(source: str, needed: int, device: str | torch.device) -> None:
    free = free_memory(device)
    if free is not None and needed > free:
        raise LoadingError(
            f"model {source}: its weights need {needed / 2**30:.1f} GiB and {device} has {free / 2**30:.1f} GiB free; "
            "take a smaller dtype (bfloat16), a device with more memory, or a smaller model"
        )


def free_memory(device: str | torch.device) -> int | None:
    """Bytes that are free on a device; None where it cannot be told."""
    device = torch.device(device)
    if device.type == "cuda":
        release_memory()  # what torch keeps of an earlier batch's model and training counts as taken
        return int(torch.cuda.mem_get_info(device)[0])
    try:
        lines = Path("/proc/meminfo").read_text(encoding="ascii").splitlines()
    except OSError:
        return None
    kibibytes = next((int(line.split()[1]) for line in lines if line.startswith("MemAvailable:")), None)
    return None if kibibytes is None else 1024 * kibibytes


def _load_weights(
    source: str,
    folder: Path,
    config: PreTrainedConfig,
    dtype: torch.dtype | str,
    device: torch.device,
    trust_remote_code: bool,
    say: Callable[[str], None],
) -> PreTrainedModel:
    auto: Any = AutoModelForCausalLM
    talk = get_verbosity()
    set_verbosity_error()  # of what is missing, the error below tells
    try:
        model, report = auto.from_pretrained(
            folder,
            config=config,
            dtype=dtype,
            device_map={"": device},
            use_safetensors=True,
            trust_remote_code=trust_remote_code,
            output_loading_info=True,
        )
    except torch.OutOfMemoryError:
        raise LoadingError(f"model {source}: {device} has not enough memory for it; take a smaller dtype") from None
    except Exception as error:  # as above
        raise LoadingError(f"model {source}: its weights cannot be loaded: {first_line(error)}") from error
    finally:
        set_verbosity(talk)
    missing = sorted(report["missing_keys"])
    if missing:
        raise LoadingError(f"model {source}: {len(missing)} of its weights are in no file, the first {missing[0]!r}")
    unused = sorted(report["unexpected_keys"])
    if unused:
        kind = type(model).__name__
        say(f"model {source}: {len(unused)} weights of its files are no part of a {kind}, the first {unused[0]!r}")
    for module in model.modules():
        if hasattr(module, "support_avx512bf16_for_cpu"):
            # bitsandbytes' kernel for such CPUs rounds to bfloat16 whatever is asked, and takes no narrow layer.
            module.support_avx512bf16_for_cpu = False
    return model


_TOLERANCE = {torch.float32: 0.01, torch.float64: 0.01}
_ROUGH = 0.05
"""How far logits may move, beside their spread, when a text has other company: in the dtypes above and in others."""


@torch.no_grad()
def check_reading(source: str, model: PreTrainedModel) -> None:
    """Refuse a model whose logits depend on later tokens or on padding: no text could be scored by it as if alone."""
    tokens = [(5 * place + 2) % vectors(model) for place in range(12)]
    one, padded = tokens[:4], [*tokens[:4], *[0] * 8]
    try:
        outputs: Any = [
            model(input_ids=torch.tensor(rows, device=model.device), use_cache=False).logits[0, :4].float()
            for rows in ([one], [padded, tokens[::-1]])
        ]
    except torch.OutOfMemoryError:
        raise LoadingError(f"model {source}: {model.device} has not enough memory to read with it") from None
    except Exception as error:  # as above
        raise LoadingError(f"model {source}: it cannot read a text: {first_line(error)}") from error
    alone, together = (output.log_softmax(-1) for output in outputs)
    apart = float((alone - together).abs().mean() / alone.std().clamp(min=1e-6))
    if apart > _TOLERANCE.get(model.dtype, _ROUGH):
        raise LoadingError(
            f"model {source}: what it says after a token depends on the tokens that follow it, or on padding; it is no "
            "causal language model, or not configured as one (`is_decoder`)"
        )
