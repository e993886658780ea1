import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from rescaling_core.errors import UsageError
from rescaling_core.networks.latent import seeded_generator
from rescaling_core.training.data import PatchSampler
from tasks.collection.images import list_images, read_images
from tasks.jobs.train.data import hold_out, validation_crops


def numbered_image(height, width):
    """Every pixel differs from every other."""
    numbers = np.arange(height * width).reshape(height, width)
    return np.stack((numbers % 256, numbers // 256, np.zeros_like(numbers)), 2).astype(np.uint8)


@settings(max_examples=25, deadline=None)
@given(st.integers(4, 24), st.integers(4, 24), st.integers(1, 4), st.integers(0, 2**31))
def test_every_patch_is_a_crop_flipped_or_rotated(height, width, patch, seed):
    image = numbered_image(height, width)
    drawn = PatchSampler([image], patch=patch).draw(3, seeded_generator(seed))
    assert drawn.shape == (3, 3, patch, patch)
    positions = (drawn * 255).round().long()
    numbers = positions[:, 0] + 256 * positions[:, 1]
    for crop in numbers:
        ys, xs = crop // width, crop % width
        rows_vary = bool((ys != ys[:1]).any())
        ys, xs = (ys, xs) if rows_vary or patch == 1 else (ys.T, xs.T)
        assert sorted(set(ys.flatten().tolist())) == list(range(ys.min(), ys.min() + patch))
        assert sorted(set(xs.flatten().tolist())) == list(range(xs.min(), xs.min() + patch))
        assert (ys == ys[:, :1]).all()
        assert (xs == xs[:1]).all()


def test_equal_generators_give_equal_batches():
    sampler = PatchSampler([numbered_image(40, 40)], patch=16)
    one, two, other = (sampler.draw(4, seeded_generator(seed)) for seed in (1, 1, 2))
    assert torch.equal(one, two)
    assert not torch.equal(one, other)


def test_images_are_drawn_in_proportion_to_their_pixels():
    small, large = np.zeros((10, 10, 3), np.uint8), np.full((30, 30, 3), 255, np.uint8)
    drawn = PatchSampler([small, large], patch=8).draw(400, seeded_generator(0))
    assert drawn.mean() == pytest.approx(0.9, abs=0.05)


def test_images_smaller_than_a_patch_are_left_out_and_none_left_is_refused():
    small, large = np.zeros((10, 30, 3), np.uint8), np.full((30, 30, 3), 255, np.uint8)
    assert PatchSampler([small, large], patch=16).draw(8, seeded_generator(0)).min() == 1
    with pytest.raises(UsageError, match="16x16"):
        PatchSampler([small], patch=16)


def test_a_folder_is_read_whatever_its_files_are_called(tmp_path):
    pixels = numbered_image(20, 30)
    (tmp_path / "deep").mkdir()
    Image.fromarray(pixels).save(tmp_path / "deep" / "a.PNG")
    Image.fromarray(pixels[..., 0]).save(tmp_path / "b.png")
    (tmp_path / "notes.txt").write_text("no image")
    paths = list_images(str(tmp_path))
    assert len(paths) == 2
    colour, grey = sorted(read_images(str(tmp_path), paths), key=lambda x: x[..., 1].max())
    assert np.array_equal(colour, pixels)
    assert np.array_equal(grey, np.repeat(pixels[..., :1], 3, axis=2))


def test_folders_without_images_and_broken_images_are_refused(tmp_path):
    with pytest.raises(UsageError, match="no image"):
        list_images(str(tmp_path))
    with pytest.raises(UsageError, match="no such folder"):
        list_images(str(tmp_path / "missing"))
    (tmp_path / "broken.png").write_bytes(b"not a PNG")
    with pytest.raises(UsageError, match=r"broken\.png"):
        read_images(str(tmp_path), list_images(str(tmp_path)))


def test_every_twentieth_image_is_held_out():
    paths = [f"{number:03}" for number in range(45)]
    kept, held_out = hold_out(paths)
    assert held_out == ["000", "020", "040"]
    assert sorted(kept + held_out) == paths
    with pytest.raises(UsageError, match="one image"):
        hold_out(["only"])


def test_validation_crops_are_the_middle():
    image = numbered_image(300, 280)
    (crop,) = validation_crops([image])
    assert np.array_equal(crop, image[22:278, 12:268])
