"""What networks are called on the page, and the rows of each in the order of the table of methods."""

from typing import Any

from .peers import PEERS

NAMES = {
    "resnet20": "ResNet-20",
    "resnet56": "ResNet-56",
    "efficientnet": "EfficientNet-Lite0",
    "ocrcls": "text direction",
    "magika": "Magika",
}


def of(found: dict[str, Any], subject: str) -> list[dict[str, Any]]:
    """Return the rows of a network."""
    order = list(PEERS)
    rows = [row for row in found["rows"].values() if row["subject"] == subject and row["peer"] in order]
    return sorted(rows, key=lambda row: (order.index(row["peer"]), -row["asked"]))
