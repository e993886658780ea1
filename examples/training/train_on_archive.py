"""Train a small network on the images of an archive: python train_on_archive.py ARCHIVE.

It learns to take noise from cuts of 64 x 64 pixels. An epoch that was interrupted goes on where
it was left, with the state that is kept beside the weights.
"""

import sys
from pathlib import Path

import torch
from torch import nn
from torchdata.stateful_dataloader import StatefulDataLoader

from tasks.datasets import ArchiveDataset, ArchiveStream


def main(archive: str, checkpoint: Path = Path("denoiser.pt"), steps: int = 100) -> float:
    """Train for some steps; the last loss."""
    # Of each source the rendition measured best, if it is a good one; from its LR image where
    # that is large enough for a cut of this size, else restored.
    images = ArchiveDataset(archive, where="psnr_y > 30", size=(64, 64))
    stream = ArchiveStream(images, seed=0, skip_unreadable=True)
    loader = StatefulDataLoader(stream, batch_size=8, num_workers=2)
    network = nn.Sequential(nn.Conv2d(3, 16, 3, padding=1), nn.Conv2d(16, 3, 3, padding=1))
    optimiser = torch.optim.Adam(network.parameters(), lr=1e-3)
    step, epoch, last = 0, 0, 0.0
    if checkpoint.exists():
        kept = torch.load(checkpoint, weights_only=False)
        network.load_state_dict(kept["network"])
        step, epoch = kept["step"], kept["epoch"]
        loader.load_state_dict(kept["loader"])
    while step < steps:
        stream.set_epoch(epoch)
        for batch in loader:
            clean = batch["image"].float() / 255
            loss = nn.functional.mse_loss(network(clean + 0.1 * torch.randn_like(clean)), clean)
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()
            last = loss.item()
            if (step := step + 1) >= steps:
                break
        epoch += step < steps
    kept = {"network": network.state_dict(), "loader": loader.state_dict()}
    torch.save({**kept, "step": step, "epoch": epoch}, checkpoint)
    return last


if __name__ == "__main__":
    print(main(sys.argv[1]))
