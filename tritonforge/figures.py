"""Numbers as people read them: three figures and a unit."""

_UNITS = ("", "k", "M", "G", "T", "P")


def short(count: int) -> str:
    """Write a number with three figures and a unit."""
    scaled, unit = float(count), 0
    while scaled >= 999.5 and unit < len(_UNITS) - 1:
        scaled, unit = scaled / 1000, unit + 1
    return f"{scaled:.3g} {_UNITS[unit]}" if unit else str(count)


def of(count: int, what: str) -> str:
    """Write how many there are of something, such as `3.7 GFLOPs` or `12 B`."""
    return f"{short(count)}{what}" if count >= 1000 else f"{count} {what}"
