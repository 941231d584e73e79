"""The figures of an evaluation as text."""

from typing import Any

from training.measure.evaluation import CONSENSUS

WEAK = 0.1  # share of an equal weight below which a network is said to be weak


def summary(found: dict[str, Any]) -> str:
    """A table of the figures on MNIST, then a line for each other set, detector, folder and kind of number."""
    lines = ["model         accuracy  macro F1    loss    ECE  refused"]
    for name, values in found.items():
        test, refused = values["test"], values["sets"]["test"]["refused"]["share"]
        lines.append(
            f"{name:<12} {test['accuracy']:>9.2%} {test['macro_f1']:>9.4f} {test['loss']:>7.4f} {test['ece']:>6.4f} "
            f"{refused:>8.2%}"
        )
    for name, weight in found[CONSENSUS].get("weights", {}).items():
        if weight < WEAK / len(found):
            lines.append(f"{name} is weak beside the others: its vote in the consensus weighs {weight:.3f} of 1.")
    for title, part in found[CONSENSUS]["sets"].items():
        refused = part["refused"]
        text = f"{CONSENSUS}, {title}: {refused['n']:,} images"
        if "right" in part:
            low, high = part["right"]["interval"]
            text += f", {part['right']['share']:.2%} right ({low:.2%} to {high:.2%})"
            text += f", {part['accepted_wrong']['share']:.2%} accepted and wrong"
        low, high = refused["interval"]
        lines.append(f"{text}, {refused['share']:.2%} refused ({low:.2%} to {high:.2%})")
    for name, values in found.items():
        if "detection" in values:
            d = values["detection"]
            lines.append(f"{name}: AP {d['ap']:.4f}, AP50 {d['ap50']:.4f}, AP75 {d['ap75']:.4f} on {d['pages']} pages")
        if "images" in values:
            lines.append(_own(name, values["images"]))
    if read := found[CONSENSUS].get("numbers"):
        for kind in ("line", "page"):
            if read[f"{kind}s"]:
                lines.append(
                    f"numbers: {read[f'{kind}s_exact']:.1%} of {read[f'{kind}s']} {kind}s read exactly, "
                    f"{read[f'{kind}_character_errors']:.1%} character errors"
                )
    return "\n".join(lines)


def _own(name: str, own: dict[str, Any]) -> str:
    text = f"{name}, own images:"
    if own["digits"]:
        text += f" {own['accuracy']:.1%} of {own['digits']} digits right, {own['digits_refused']:.1%} refused;"
    if own["others"]:
        text += f" {own['others_refused']:.1%} of {own['others']} others refused"
    return text
