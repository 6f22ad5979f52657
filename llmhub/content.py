"""The content policy of the configuration: in force from the start, and read again whenever its file changes."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

import yaml

from collector.file_stamp import file_stamp
from storage import yaml_file
from storage.content_policy import MODES, ContentPolicy, ContentSettings, ModeRule, PolicyError, Redaction, keep_for
from storage.store import Store, StoreError

log = logging.getLogger(__name__)

LOOK_SECONDS = 5.0
"""Pause between two looks at the policy file."""


def apply(settings: ContentSettings, store: Store) -> None:
    """Put the policy and the retention of `settings` into force. Raises PolicyError, StoreError."""
    read_policy(settings).load(store)
    keep_for(store, settings.retention_days)


def read_policy(settings: ContentSettings) -> ContentPolicy:
    """The policy of `settings` and of its file. Raises PolicyError."""
    tree = _read(settings.policy_file) if settings.policy_file else {}
    where = f"storage.content.policy_file ({settings.policy_file})"
    if unknown := sorted(tree.keys() - {"modes", "redactions"}):
        raise PolicyError(f"{where}: {unknown[0]} is not known there; there are modes and redactions")
    try:
        modes = tuple(ModeRule(**item) for item in tree.get("modes") or ())
        redactions = tuple(Redaction(**item) for item in tree.get("redactions") or ())
    except TypeError as error:
        raise PolicyError(
            f"{where}: an entry of modes has mode, tenant and service, one of redactions name, pattern, replacement, "
            f"hint and check ({error})"
        ) from None
    for rule in modes:
        if rule.mode not in MODES:
            raise PolicyError(f"{where}: {rule.mode!r} is no mode; there are {', '.join(MODES)}")
    return ContentPolicy(settings.mode, modes, redactions)


def _read(path: str) -> dict[str, Any]:
    try:
        tree = yaml_file.parse(Path(path).read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise PolicyError(f"cannot read storage.content.policy_file ({path}): {error}") from None
    if not isinstance(tree, dict | None):
        raise PolicyError(f"storage.content.policy_file ({path}) must be a mapping of modes and redactions")
    return tree or {}


class PolicyWatch:
    """Puts a changed policy file into force; one that cannot be used changes nothing. Blocking; one thread at a time."""

    def __init__(self, settings: ContentSettings, store: Store) -> None:
        """The file is in force as it is now."""
        self._settings = settings
        self._store = store
        self._seen = file_stamp(settings.policy_file)

    def check(self) -> None:
        """Read the file again if it is another one by now."""
        if (stamp := file_stamp(self._settings.policy_file)) != self._seen:
            self._seen = stamp
            self._reload()

    def _reload(self) -> None:
        try:
            changed = read_policy(self._settings).load(self._store)
        except StoreError as error:
            log.error("the content policy stays as it was: %s", error)
        else:
            log.info("the content policy was read again", extra={"changed": changed})
