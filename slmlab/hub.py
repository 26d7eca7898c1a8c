"""A model's files from a model hub: size said first, resumed where it stopped, every file held against the hub's hash.

Takes safetensors, ONNX and configuration files, never code or pickles. Knows nothing about the cache.
"""

import shutil
from fnmatch import fnmatch
from pathlib import Path

from slmlab.errors import DoesNotFit, WeightsError
from slmlab.sources import offline, sha256_of

WANTED = ("*.safetensors", "*.safetensors.index.json", "*.json", "*.jinja", "*.model", "*.txt", "*.onnx", "*.onnx.data")


def from_hub(
    repo: str, subfolder: str | None, target: Path, partial: Path, ways: str, revision: str | None = None
) -> None:
    """Fill `target` with the files of a repository, or of one folder in it. `partial` keeps what an interrupted
    download has, for the next one to go on from."""
    if offline():
        raise WeightsError(f"{repo} is not in the cache and SLMLAB_OFFLINE is set. {ways}")
    files = _listing(repo, subfolder, ways, revision)
    size = sum(file.size for file in files)
    print(f"Fetching {repo}: {size / 1e9:,.2f} GB in {len(files)} files from the model hub.", flush=True)
    partial.mkdir(parents=True, exist_ok=True)
    free = shutil.disk_usage(partial).free
    here = sum(path.stat().st_size for path in partial.rglob("*") if path.is_file())
    if free + here < size * 1.02:
        raise DoesNotFit(
            f"{repo} takes {size / 1e9:,.1f} GB and the disk has {free / 1e9:,.1f} GB free. "
            "Free some room, or move the cache: set SLMLAB_CACHE to a folder with room."
        )
    _download(repo, [file.rfilename for file in files], partial, ways, revision)
    for file in files:
        source = partial / file.rfilename
        if file.lfs and sha256_of(source) != file.lfs.sha256:
            source.unlink()
            raise WeightsError(
                f"{file.rfilename} arrived damaged and was not kept. Run the same line again to fetch it."
            )
        name = file.rfilename.removeprefix(f"{subfolder}/") if subfolder else file.rfilename
        (target / name).parent.mkdir(parents=True, exist_ok=True)
        source.replace(target / name)
    shutil.rmtree(partial, ignore_errors=True)


def _listing(repo: str, subfolder: str | None, ways: str, revision: str | None) -> list:
    from huggingface_hub import HfApi

    try:
        found = HfApi().model_info(repo, revision=revision, files_metadata=True, timeout=10).siblings
    except _network_errors() as fault:
        raise WeightsError(f"{_reason(repo, fault)} {ways}") from fault
    inside = f"{subfolder}/" if subfolder else ""
    files = [file for file in found if file.rfilename.startswith(inside) and _wanted(file.rfilename, bool(subfolder))]
    if not any(file.rfilename.endswith((".safetensors", ".onnx", ".onnx.data")) for file in files):
        raise WeightsError(f"{repo} has no safetensors or ONNX files {f'in {subfolder}' if subfolder else ''}. {ways}")
    return files


def _wanted(name: str, deep: bool) -> bool:
    """The files that a model is loaded from: at the top of a repository, or anywhere in the folder asked for, and the
    adapter that Phi-4-multimodal sees through."""
    return (deep or "/" not in name or name.startswith("vision-lora/")) and any(
        fnmatch(name, pattern) for pattern in WANTED
    )


def _download(repo: str, names: list[str], partial: Path, ways: str, revision: str | None) -> None:
    from huggingface_hub import snapshot_download

    try:
        snapshot_download(repo, revision=revision, allow_patterns=names, local_dir=partial)
    except _network_errors() as fault:
        if isinstance(fault, OSError) and fault.errno:  # the disk's, worded by the cache
            raise
        raise WeightsError(
            f"{_reason(repo, fault)} What has arrived is kept: the same line goes on from there. {ways}"
        ) from fault


def _network_errors() -> tuple[type[Exception], ...]:
    """OSError, and the base error of whichever HTTP client the hub's library was built with."""
    from huggingface_hub.errors import HfHubHTTPError

    return (OSError, *(base for base in HfHubHTTPError.__bases__ if base is not OSError))


def _reason(repo: str, fault: Exception) -> str:
    from huggingface_hub.errors import GatedRepoError, RepositoryNotFoundError

    if isinstance(fault, GatedRepoError):
        return f"{repo} wants its licence accepted on its page, and HF_TOKEN set."
    if isinstance(fault, RepositoryNotFoundError):
        return f"The model hub knows no {repo}."
    return f"{repo} is not in the cache and the model hub can't be reached ({type(fault).__name__})."
