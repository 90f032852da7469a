"""Why the hub did not give what was asked for, in words that say what to do."""

from __future__ import annotations

import errno
import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from nbtool import files
from nbtool.errors import ModelError, NbtoolError, said
from nbtool.silence import importing, mild

LOGIN = "`hf auth login`, or the variable HF_TOKEN"
_BY_STATUS = {
    401: f"your token is not valid; log in anew with {LOGIN}",
    403: f"your token may not read it; use one that may, with {LOGIN}",
    404: "one of its files is not there any more; try again",
    429: "too many requests; wait a few minutes, or log in for a higher limit",
}
_DISK = {  # what only a disk refuses
    errno.ENOSPC: "the disk is full",
    errno.EDQUOT: "your quota on this disk is used up",
    errno.EFBIG: "no file may be as large (`ulimit -f` shows a limit; a FAT disk has one of 4 GB)",
    errno.EROFS: "it can only be read",
    errno.EIO: "the disk has a fault",
    errno.EMFILE: "too many files are open",
    errno.ESTALE: "its network drive has let go of it (stale file handle)",
    **dict.fromkeys(
        (errno.ENOLCK, errno.ENOTSUP, errno.EOPNOTSUPP, errno.ENOSYS),
        "its drive cannot lock files, as a local one can",
    ),
}
_NAMED = {  # what is one of the disk if it names a file
    errno.EACCES: "you have no right to it",
    errno.EPERM: "you have no right to it",
    errno.EEXIST: "a file lies where a folder should be",
    errno.ENOTDIR: "a file lies where a folder should be",
    errno.ENAMETOOLONG: "the names of its files would be too long",
}
_RUST = re.compile(r"os error (\d+)|Os \{ code: (\d+)")  # as Xet's own client says it


@contextmanager
def explained(repository: str, revision: str) -> Iterator[None]:
    """Turns what the hub's client raises into ModelErrors, one text for each cause.

    Args:
        repository: Its name.
        revision: What was asked for of it.

    Raises:
        NbtoolError: The client cannot be imported.
    """
    with importing("huggingface_hub"):
        from huggingface_hub import constants, errors, get_token, try_to_load_from_cache  # noqa: F401
    try:
        with mild():
            yield
    except (NbtoolError, InterruptedError):
        raise
    except Exception as error:  # the client raises a dozen kinds, some wrapped in others
        of_the_disk = filter(None, map(_of_the_disk, _behind(error)))
        reason = next(of_the_disk, "") or _reason(_cause(error), repository, revision)
        raise ModelError(f"cannot get {repository} from the Hugging Face hub: {reason}") from None


def _behind(error: BaseException | None) -> Iterator[BaseException]:
    """An error, and those that it was raised in place of."""
    while error is not None:
        yield error
        error = error.__cause__ or error.__context__


def _of_the_disk(error: BaseException) -> str:
    """Why the cache cannot be used, if that is what the system says here; "" if not."""
    from huggingface_hub import constants

    code, name = getattr(error, "errno", None), str(getattr(error, "filename", None) or "")
    if found := _RUST.search(said(error)):
        code = int(found[1] or found[2])
    if code is None or not (name or code in _DISK):
        return ""
    cache = str(constants.HF_HUB_CACHE)
    why = _DISK.get(code) or _NAMED.get(code) or os.strerror(code)
    if code == errno.ENOSPC:
        why += f", {files.size(files.free(Path(cache)))} are free"
    if not (name.startswith(os.path.dirname(cache)) or cache.startswith(name)):
        return f"{name} cannot be used: {why}"
    return f"its cache {cache} cannot be used: {why}; change that, or set HF_HUB_CACHE to another folder"


def _cause(error: BaseException) -> BaseException:
    """What is behind the client's word that a file is neither there nor to be had."""
    from huggingface_hub.errors import LocalEntryNotFoundError

    wrapped = isinstance(error, LocalEntryNotFoundError)
    return error.__cause__ if wrapped and error.__cause__ else error


def _reason(error: BaseException, repository: str, revision: str) -> str:
    from huggingface_hub import constants

    if known := _known(error, f"{constants.ENDPOINT}/{repository}", revision):
        return known
    status = getattr(getattr(error, "response", None), "status_code", 0)
    if status >= 500:
        return f"the hub has a fault of its own (HTTP {status}); try again later"
    if "Consistency check failed" in said(error):
        return "a file arrived incomplete or as something else; what is whole is kept: try again"
    return _BY_STATUS.get(
        status, f"{constants.ENDPOINT} does not answer as the hub does; check the connection"
    )


def _known(error: BaseException, page: str, revision: str) -> str:
    """The text for an error that the client has a class for; "" for others."""
    from huggingface_hub import errors, get_token

    if "credentials" in said(error):  # an invalid token, which some repositories answer as missing
        return _BY_STATUS[401]
    logged_in = get_token() is not None
    texts = {
        errors.OfflineModeIsEnabled: "it is not in the cache, and HF_HUB_OFFLINE forbids to ask",
        errors.HFValidationError: "that is no valid name of a repository",
        errors.RevisionNotFoundError: f"it has no revision {revision!r}",
        errors.DisabledRepoError: "it was taken down",
        errors.GatedRepoError: (
            f"your account has no access to it yet; ask for it at {page}"
            if logged_in
            else f"its licence must be accepted first, at {page}; then log in with {LOGIN}"
        ),
        errors.RepositoryNotFoundError: (
            "there is none of that name, or it is private and not yours"
            if logged_in
            else f"there is none of that name; if it is a private one, log in with {LOGIN}"
        ),
    }
    return next((text for kind, text in texts.items() if isinstance(error, kind)), "")
