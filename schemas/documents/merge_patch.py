"""JSON merge patch (RFC 7386). Pure: neither argument is changed."""

from typing import Any


def merge_patch(target: Any, patch: Any) -> Any:  # noqa: ANN401 - any JSON values
    """`target` after `patch`: null removes a member, an object merges, all else replaces."""
    if not isinstance(patch, dict):
        return patch
    merged = dict(target) if isinstance(target, dict) else {}
    for name, value in patch.items():
        if value is None:
            merged.pop(name, None)
        else:
            merged[name] = merge_patch(merged.get(name), value)
    return merged
