"""MNIST from the data folder, and pictures."""

from pathlib import Path

import numpy as np

SHAPE = (1, 28, 28)


def mnist(data: str | None) -> tuple[np.ndarray, np.ndarray]:
    """Images to train on and to test on, 784 grey levels each, as floats."""
    if data is None:
        raise ValueError("MNIST is in the data folder: give --data DIR")
    with np.load(Path(data) / "image/mnist.npz", allow_pickle=False) as file:
        train, test = (file[name].reshape(-1, 784).astype(float) for name in ("X_train", "X_test"))
    return train, test


def save_grid(images, size: int, path: Path, zoom: int = 1) -> None:
    """Write lines of square images; ``images``: (lines, images in a line, pixels)."""
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    lines = np.stack(images)
    grid = lines.reshape(*lines.shape[:2], size, size).transpose(0, 2, 1, 3)
    picture = grid.reshape(len(lines) * size, -1).clip(0, 255).repeat(zoom, 0).repeat(zoom, 1)
    path.parent.mkdir(parents=True, exist_ok=True)
    plt.imsave(path, picture, cmap="gray_r", dpi=100)
