"""The files of a published model from a model hub: the size said first, resumed where it stopped, compared at the end.

Takes data only, no code and no pickles. Knows nothing about the cache.
"""

import shutil
from pathlib import Path

from slmlab.errors import NotHere
from slmlab.machine import disk_free
from slmlab.show import in_bytes

TAKEN = ("*.safetensors", "*.json", "*.jinja", "*.model", "*.txt", "*.onnx", "*.onnx.data")
# Of a repository for Transformers nothing in a folder, but the adapter that Phi-4-multimodal sees through ("[!v]*/*"
# spares vision-lora/), and no second copy of the weights, as newer Mistrals ship one.
LEFT = ("[!v]*/*", "consolidated*", "*.onnx", "*.onnx.data")


def fetch(repo: str, inside: str, revision: str | None, new: Path, partial: Path, room: str, ways: str) -> None:
    """Fill `new` with a repository's files, or with those of the folder `inside/`.

    `partial` keeps what an interrupted download has. `room` and `ways` say what to do about a full disk and no network.
    """
    from huggingface_hub import HfApi, snapshot_download
    from huggingface_hub.errors import GatedRepoError, HTTPError

    patterns = {"allow_patterns": [inside + one for one in TAKEN], "ignore_patterns": None if inside else LEFT}
    wanted = {"repo_id": repo, "revision": revision, "local_dir": partial, **patterns}
    try:
        files = [one for one in snapshot_download(**wanted, dry_run=True) if one.will_download]
        size, free = sum(one.file_size for one in files), disk_free(partial)
        print(f"Fetching {repo}: {size / 1e9:,.2f} GB in {len(files)} files from the model hub.", flush=True)
        if free < size:
            raise NotHere(f"This takes {in_bytes(size)} and the disk has {in_bytes(free)} free. {room}")
        snapshot_download(**wanted)
        compared = HfApi().verify_repo_checksums(repo, revision=revision, local_dir=partial)
    except (HTTPError, OSError) as fault:
        if isinstance(fault, OSError) and fault.errno:  # the disk's
            raise
        cause = fault.__cause__ or fault  # a dry run hides what went wrong
        words = f"{repo} is not in the cache and the model hub can't be reached ({type(cause).__name__})."
        if isinstance(cause, GatedRepoError):
            words = f"{repo} wants its licence accepted on its page, and HF_TOKEN set."
        raise NotHere(f"{words} What has arrived is kept: the same line goes on from there. {ways}") from fault
    for one in compared.mismatches:
        (partial / one["path"]).unlink()
        raise NotHere(f"{one['path']} arrived damaged and was not kept. Run the same line again to fetch it.")
    for one in (partial / inside).iterdir():
        if one.name != ".cache":  # the library's own notes
            one.replace(new / one.name)
    shutil.rmtree(partial, ignore_errors=True)
