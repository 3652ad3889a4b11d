"""Files that are either the old ones or the new ones, whenever the power goes."""

import os
from pathlib import Path


def write_atomically(path: Path, data: bytes) -> None:
    """Replaces `path` by a file with `data`, on the disk before this returns."""
    new = path.with_name(f"{path.name}.new")
    with new.open("wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())
    new.replace(path)
    sync_folder(path.parent)


def remove(path: Path) -> None:
    """Removes `path` if it is there."""
    path.unlink(missing_ok=True)
    sync_folder(path.parent)


def make_folder(path: Path) -> Path:
    """Makes `path` with its parents, readable for the owner alone."""
    path.mkdir(parents=True, exist_ok=True, mode=0o700)
    sync_folder(path.parent)
    return path


def sync_folder(folder: Path) -> None:
    """Puts the names in `folder` on the disk."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
