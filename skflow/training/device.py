"""Which device to work on."""

import torch


def resolve_device(device: str) -> torch.device:
    """Return the device that ``"auto"`` or a torch device string means here."""
    if device == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        resolved = torch.device(device)
    except RuntimeError as error:
        raise ValueError(f"device={device!r} is no device of torch: {error}") from None
    if resolved.type == "cuda" and not torch.cuda.is_available():
        raise ValueError(f"device={device!r}, but torch sees no CUDA device; use device='auto'.")
    return resolved
