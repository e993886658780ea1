"""What a hostile file asks for is refused in one line, before memory or time is spent on it."""

from __future__ import annotations

import io
import json
import math
import zipfile
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors.torch import save as serialise_tensors

from rescaling_core import limits
from rescaling_core.errors import CheckpointError, MetadataError, RefoldError
from rescaling_core.metadata import RestorationMetadata
from rescaling_core.networks import FAMILIES, LatentPolicy, build
from rescaling_core.pixels.tiles import Tiling
from rescaling_core.rescale import restore_pixels
from rescaling_core.zoo import restorers
from rescaling_core.zoo.card import ModelCard
from rescaling_core.zoo.files import read
from rescaling_core.zoo.official import import_checkpoint
from tests.hostile import refused_within_limits
from tests.unit.rescaling_core.networks.examples import example

RECORD: dict[str, Any] = {
    "schema_version": 1,
    "source_key": "a.png",
    "source_etag": "e",
    "source_size": 10,
    "source_sha256": "0" * 64,
    "width": 400,
    "height": 300,
    "mode": "RGB",
    "format": "PNG",
    "target": "x2",
    "scale": 2.0,
    "lr_width": 200,
    "lr_height": 150,
    "rescaler": "irn-x2-lite",
    "weights_sha256": "1" * 64,
    "latent_policy": {"kind": "gaussian", "std": 1.0},
    "latent_seed": 0,
    "codec": "png",
    "padding": "replicate",
    "tile": 1024,
    "overlap": 32,
    "software": "refold",
    "extras": {},
    "lr_pixels_sha256": "2" * 64,
    "psnr_y": 40.5,
    "ssim_y": 0.9,
    "max_abs_error": 3,
    "fingerprint": "AAAA",
}

LARGE = {"width": 40_000, "height": 5_000, "lr_width": 20_000, "lr_height": 2_500}

HOSTILE_RECORDS: dict[str, dict[str, Any]] = {
    "a negative overlap": {"overlap": -40},
    "an overlap that no network sees": {"overlap": 10**6},
    "a negative tile": {"tile": -1},
    "one-pixel tiles": {"tile": 1},
    "a tile of a million": {"tile": 10**6},
    "the whole at once of 200 megapixels": LARGE | {"tile": 0},
    "small tiles with much around them": LARGE | {"tile": 16, "overlap": 512},
    "a negative seed": {"latent_seed": -1},
    "a seed that no generator takes": {"latent_seed": 2**70},
    "a width of thousands of digits": {"width": 10**4000},
    "a side that no format has": {"width": 2**25, "lr_width": 2**24},
    "a PSNR that is not finite": {"psnr_y": math.inf},
    "an SSIM that is not a number": {"ssim_y": math.nan},
    "a scale that is not a number": {"scale": math.nan},
    "a scale that is infinite": {"scale": math.inf},
    "a negative size": {"source_size": -1},
    "a key of a megabyte": {"source_key": "k" * 2**20},
    "a digest that is a path": {"weights_sha256": "../../etc/passwd"},
    "an infinite standard deviation": {"latent_policy": {"kind": "gaussian", "std": math.inf}},
    "a standard deviation that is no number": {
        "latent_policy": {"kind": "gaussian", "std": math.nan}
    },
    "an error above the levels there are": {"max_abs_error": 256},
    "a density that is infinite": {"extras": {"dpi": [math.inf, 1.0]}},
}


def _json(fields: dict[str, Any]) -> str:
    """As a hostile writer would: Python's own refuses numbers of thousands of digits."""
    fields, long = dict(fields), {}
    for name, value in fields.items():
        if isinstance(value, int) and value.bit_length() > 1000:
            fields[name], long[name] = f"<{name}>", "1" + "0" * 4000
    text = json.dumps(fields)
    for name, digits in long.items():
        text = text.replace(f'"<{name}>"', digits)
    return text


def test_the_record_that_the_others_are_made_of_is_sound() -> None:
    assert RestorationMetadata.from_json(_json(RECORD)).tile == 1024


@pytest.mark.parametrize("hostile", HOSTILE_RECORDS)
def test_a_record_out_of_range_is_refused_in_one_line(hostile: str) -> None:
    with pytest.raises(MetadataError) as caught:
        RestorationMetadata.from_json(_json(RECORD | HOSTILE_RECORDS[hostile]))
    assert "\n" not in str(caught.value)
    assert len(str(caught.value)) < 300


@pytest.mark.parametrize("text", ["1e999", "-1e999", "NaN", "Infinity", "-Infinity"])
@pytest.mark.parametrize("name", ["psnr_y", "ssim_y", "ssimulacra2", "scale"])
def test_no_spelling_of_a_number_that_is_not_finite_is_read(name: str, text: str) -> None:
    document = _json(RECORD | {name: "<here>"}).replace('"<here>"', text)
    with pytest.raises(MetadataError, match="not finite"):
        RestorationMetadata.from_json(document)


DOCUMENTS: dict[str, str] = {
    "nested lists": "[" * 100_000,
    "nested lists that end": "[" * 500 + "]" * 500,
    "nested tables": '{"a":' * 900 + "1" + "}" * 900,
    "millions of values": "[" + "0," * 3_000_000 + "0]",
    "an integer of thousands of digits": "[" + "1" * 5000 + "]",
}


@pytest.mark.parametrize("name", DOCUMENTS)
def test_json_that_would_take_a_parser_apart_is_refused(name: str) -> None:
    with pytest.raises(ValueError, match=r"levels|values|digits") as caught:
        limits.read_json(DOCUMENTS[name])
    assert len(str(caught.value)) < 200


TOMLS: dict[str, str] = {
    "nested lists": "a = " + "[" * 50_000 + "]" * 50_000,
    "a key of many parts": "a" + ".a" * 60_000 + " = 1",
    "an integer of thousands of digits": "a = " + "1" * 5000,
    "an integer of forty digits": "a = " + "1" * 40,
    "an infinity": "a = inf",
    "no number": "a = -nan",
    "a number beyond what a float holds": "a = 1e999",
    "megabytes": "# " + "x" * 2**20,
}


@pytest.mark.parametrize("name", TOMLS)
def test_toml_that_would_take_a_parser_apart_is_refused(name: str) -> None:
    with pytest.raises(ValueError, match=r"levels|dots|digits|finite|characters") as caught:
        limits.read_toml(TOMLS[name])
    assert len(str(caught.value)) < 200


@settings(max_examples=200, deadline=None)
@given(
    st.recursive(
        st.none() | st.booleans() | st.integers(-(10**12), 10**12) | st.text(max_size=20),
        lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=5), inner),
        max_leaves=20,
    )
)
def test_ordinary_json_is_read_as_it_is(value: object) -> None:
    assert limits.read_json(json.dumps(value)) == value


def test_a_tile_of_zero_is_the_whole_at_once() -> None:
    network, rng = example("irn-x2"), np.random.default_rng(3)
    lr = rng.integers(0, 256, (20, 30, 3), dtype=np.uint8)
    whole, at_once = Tiling(tile=4096, overlap=0), Tiling(tile=0, overlap=0)
    restored = [
        restore_pixels(network, lr, (40, 60), 2, seed=7, tiling=tiling)
        for tiling in (whole, at_once)
    ]
    assert np.array_equal(*restored)


def test_a_small_image_may_have_any_tile_in_range() -> None:
    for tile, overlap in ((16, 32), (4096, 512), (0, 0), (64, 64)):
        record = RestorationMetadata.from_json(_json(RECORD | {"tile": tile, "overlap": overlap}))
        assert replace(record, tile=tile) == record


def _weights(config: dict[str, Any], tensors: int = 1, **header: Any) -> bytes:
    document = {
        "version": 1,
        "id": "hostile",
        "family": "irn",
        "config": config,
        "latent_policy": {"kind": "gaussian", "std": 1.0},
    } | header
    values = {f"t{number}": torch.zeros(1) for number in range(tensors)}
    return serialise_tensors(values, metadata={"refold": json.dumps(document)})


CONFIGS: dict[str, dict[str, Any]] = {
    "a million blocks": {"scale": 2, "blocks": [10**6]},
    "five hundred blocks": {"scale": 2, "blocks": [500]},
    "a growth of a million": {"scale": 2, "blocks": [1], "growth": 10**6},
    "a growth of five hundred": {"scale": 2, "blocks": [1], "growth": 500, "depth": 500},
    "a scale of a billion": {"scale": 2**30, "blocks": [0] * 30},
    "a million stages": {"scale": 2, "blocks": [1] * 10**6},
    "a growth that is not a number": {"scale": 2, "blocks": [1], "growth": math.nan},
    "a name of a megabyte": {"scale": 2, "blocks": [1], "growth": "g" * 2**20},
    "blocks in blocks": {"scale": 2, "blocks": [[[[1]]]]},
    "an argument of no network": {"scale": 2, "blocks": [1], "device": "cuda"},
    "a scale of nothing": {"scale": 0, "blocks": [1]},
    "a text for a scale": {"scale": "2", "blocks": "11"},
    "a negative growth": {"scale": 2, "blocks": [1], "growth": -5},
}


@pytest.mark.parametrize("name", CONFIGS)
def test_weights_whose_config_asks_for_too_much_are_refused(name: str) -> None:
    with pytest.raises(CheckpointError) as caught:
        read(_weights(CONFIGS[name]), name="hostile")
    assert "\n" not in str(caught.value)
    assert len(str(caught.value)) < 400


RESTORER_CONFIGS: dict[str, Any] = {
    "a million features": {"features": 10**6, "errors": [[[1, 2], [2, 1]]]},
    "five hundred of all": {"features": 500, "pairs": 500, "errors": [[[1, 2], [2, 1]]]},
    "a million pictures": {"pictures": 10**6, "errors": [[[1, 2], [2, 1]]]},
    "a text for features": {"features": "24", "errors": [[[1, 2], [2, 1]]]},
    "errors that are no table": {"features": 8, "errors": 5},
    "no table": [],
}


@pytest.mark.parametrize("name", RESTORER_CONFIGS)
def test_weights_of_a_restorer_whose_config_asks_for_too_much_are_refused(name: str) -> None:
    """Its network was built whatever it asked for."""
    data = _weights(RESTORER_CONFIGS[name], kind="restorer", coding={})
    with pytest.raises(CheckpointError) as caught:
        restorers.parse(data, None, name="hostile")
    assert "\n" not in str(caught.value)
    assert len(str(caught.value)) < 400


def test_weights_with_a_header_beyond_the_limit_are_refused() -> None:
    many = _weights({"scale": 2, "blocks": [1]}, notes="x" * limits.MAX_HEADER)
    with pytest.raises(CheckpointError, match="header"):
        read(many, name="hostile")
    stated = (2**60).to_bytes(8, "little") + b"{}"
    with pytest.raises(CheckpointError, match="not a weights file"):
        read(stated, name="hostile")


def test_a_card_of_nested_tables_is_refused() -> None:
    with pytest.raises(CheckpointError, match="levels"):
        ModelCard.from_json('{"a":' * 900 + "1" + "}" * 900, name="card")


def _saved(values: dict[str, Any], **options: Any) -> bytes:
    buffer = io.BytesIO()
    torch.save(values, buffer, **options)
    return buffer.getvalue()


def _deflated(data: bytes) -> bytes:
    buffer = io.BytesIO()
    with (
        zipfile.ZipFile(io.BytesIO(data)) as stored,
        zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as packed,
    ):
        for entry in stored.infolist():
            packed.writestr(entry.filename, stored.read(entry))
    return buffer.getvalue()


CHECKPOINTS: dict[str, Callable[[], bytes]] = {
    "a key with an index of a trillion": lambda: _saved(
        {"operations.1000000000000.F.conv1.weight": torch.zeros(1)}
    ),
    "a key with an index of thousands of digits": lambda: _saved(
        {"operations." + "9" * 200 + ".x": torch.zeros(1)}
    ),
    "a key of a megabyte": lambda: _saved({"operations." + "x" * 2**20: torch.zeros(1)}),
    "a tensor of one value stated as a trillion": lambda: _saved(
        {"operations.0.haar_weights": torch.zeros(1).expand(10**6, 10**6)}
    ),
    "tensors without values but of a billion channels": lambda: _saved(
        {
            "operations.0.haar_weights": torch.zeros(12, 1, 2, 2),
            "operations.1.F.conv1.weight": torch.zeros(10**9, 0, 3, 3),
        }
    ),
    "an archive that unpacks to a hundred times its size": lambda: _deflated(
        _saved({"operations.0.haar_weights": torch.zeros(2**24)})
    ),
    "a sparse tensor": lambda: _saved(
        {"a": torch.sparse_coo_tensor(torch.zeros(1, 0), torch.zeros(0), (10**12,))}
    ),
    "no tensors": lambda: _saved({}),
}


@pytest.mark.parametrize("name", CHECKPOINTS)
def test_checkpoints_that_ask_for_too_much_are_refused(name: str) -> None:
    with pytest.raises(CheckpointError) as caught:
        import_checkpoint({"hostile.pth": CHECKPOINTS[name]()}, family_name="irn", scale=2)
    assert "\n" not in str(caught.value)
    assert len(str(caught.value)) < 600


def test_networks_of_every_family_fit_the_limits_of_their_own_weights() -> None:
    from tests.unit.rescaling_core.networks.examples import NETWORKS

    for family, config in NETWORKS.values():
        policy = FAMILIES[family].latent_policy
        network = build(family, config, policy)
        values = sum(tensor.numel() for tensor in network.state_dict().values())
        build(family, network.config, policy, most_values=values + limits.SPARE_VALUES)


@pytest.mark.parametrize("std", [math.nan, math.inf, -1.0, 1e9])
def test_a_latent_policy_has_a_standard_deviation_within_reason(std: float) -> None:
    with pytest.raises(ValueError, match="std"):
        LatentPolicy("gaussian", std)


HOSTILE_WORK: dict[str, str] = {
    "a record of 30 levels of lists": """
        from rescaling_core.metadata import RestorationMetadata
        RestorationMetadata.from_json("[" * 10_000_000)
    """,
    "a record of ten million values": """
        from rescaling_core.metadata import RestorationMetadata
        RestorationMetadata.from_json('{"a":[' + "0," * 10_000_000 + "0]}")
    """,
    "a compact record whose extras unpack to nested lists": """
        from rescaling_core.metadata import RestorationMetadata
        RestorationMetadata.from_bytes(made)
    """,
    "a compact record whose extras unpack to millions of values": """
        from rescaling_core.metadata import RestorationMetadata
        RestorationMetadata.from_bytes(made)
    """,
    "a compact record whose extras unpack to one long text": """
        from rescaling_core.metadata import RestorationMetadata
        RestorationMetadata.from_bytes(made)
    """,
    "a restorer of five hundred pairs of five hundred features": """
        from rescaling_core.zoo import restorers
        restorers.parse(made, None, name="hostile")
    """,
    "weights of five hundred blocks with a growth of five hundred": """
        from rescaling_core.networks import LatentPolicy, build
        config = {"scale": 2, "blocks": [500], "growth": 500, "depth": 500}
        build("irn", config, LatentPolicy("gaussian"), most_values=2**20)
    """,
    "an LR file of 200 megapixels that says it is small": """
        import io
        from dataclasses import replace
        from PIL import Image
        from rescaling_core import codecs
        codecs.decode(made, max_pixels=10_000)
    """,
}

_EXTRAS = """
    import zlib
    from rescaling_core.metadata import wire
    packer = zlib.compressobj(9)
    packed = b"".join(packer.compress(part) for part in ({parts}))
    made = b"\\x02" + wire.blob(34, packed + packer.flush())
"""

BEFORE: dict[str, str] = {
    "a restorer of five hundred pairs of five hundred features": """
        import json, torch
        from safetensors.torch import save
        config = {"features": 500, "pairs": 500, "errors": [[[1, 2], [2, 1]]]}
        header = {"version": 1, "kind": "restorer", "id": "h", "config": config, "coding": {}}
        made = save({"t": torch.zeros(1)}, metadata={"refold": json.dumps(header)})
    """,
    "a compact record whose extras unpack to nested lists": _EXTRAS.format(
        parts="b'[' * 2**20 for _ in range(200)"
    ),
    "a compact record whose extras unpack to millions of values": _EXTRAS.format(
        parts="b'[0' if i == 0 else b',0' * 2**19 for i in range(120)"
    ),
    "a compact record whose extras unpack to one long text": _EXTRAS.format(
        parts="""b'{"icc":"' if i == 0 else b'x' * 2**20 for i in range(250)"""
    ),
    "an LR file of 200 megapixels that says it is small": """
        import io
        from PIL import Image
        buffer = io.BytesIO()
        Image.new("L", (10_000, 10_000)).save(buffer, "PNG")
        made = buffer.getvalue()
    """,
}


@pytest.mark.slow
@pytest.mark.parametrize("name", HOSTILE_WORK)
def test_refusing_takes_little_memory_and_time(name: str) -> None:
    error = refused_within_limits(HOSTILE_WORK[name], before=BEFORE.get(name, ""))
    assert issubclass(error, RefoldError)
