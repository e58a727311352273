"""Facts about a data set for its owner: what is used, what is left out, and what to look at."""

from collections.abc import Mapping, Sequence

from pydantic import BaseModel, ConfigDict


class DataSummary(BaseModel):
    """Facts about a data set, as they are printed, stored with a search and shown in its report.

    Attributes:
        source: Name of the data set.
        classes: Images of each class in each split.
        unlabeled: Images without labels that join the training.
        ignored: Number of files that are left out, by reason.
        near_duplicates: Names of near-identical images in different splits.
        groups: Groups of several images.
        smallest_px: Width and height of the smallest of some images; None if there are no files.
        largest_px: Width and height of the largest.
        size_px: Side to which images are decoded.
        resize: Way to a square.
        interpolation: Interpolation of the resize.
        warnings: What the owner should look at, one sentence each.
        notes: What was decided for the owner, one sentence each.
        median_px: Median of the shorter sides of some images; None if there are no files.
    """

    model_config = ConfigDict(frozen=True)

    source: str
    classes: Mapping[str, Mapping[str, int]]
    unlabeled: int
    ignored: Mapping[str, int]
    near_duplicates: Sequence[tuple[str, str]]
    groups: int
    smallest_px: tuple[int, int] | None
    largest_px: tuple[int, int] | None
    size_px: int
    resize: str
    interpolation: str
    warnings: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    median_px: int | None = None

    def count(self, split: str) -> int:
        """Return the number of labelled images of a split."""
        return sum(counts[split] for counts in self.classes.values())

    def lines(self) -> list[str]:
        """Return the summary as text."""
        labels = {split: self.count(split) for split in ("train", "val", "test")}
        lines = [
            f"{self.source}: {len(self.classes)} classes, {sum(labels.values())} labelled images, "
            f"{self.unlabeled} without labels",
            f"  labels: {labels['train']} train, {labels['val']} choose (val), {labels['test']} measure (test)",
            f"  {self._classes_line()}",
            f"  {self._sizes_line()}",
        ]
        if self.groups:
            lines.append(f"  groups: {self.groups} of several images; none straddles splits that were drawn")
        if self.ignored:
            counts = ", ".join(f"{count} {reason}" for reason, count in self.ignored.items())
            lines.append(f"  left out: {counts}")
        return [*lines, *(f"  {note}" for note in self.notes), *(f"  warning: {text}" for text in self.warnings)]

    def _classes_line(self) -> str:
        sizes = {name: sum(counts.values()) for name, counts in self.classes.items()}
        smallest, largest = min(sizes, key=sizes.__getitem__), max(sizes, key=sizes.__getitem__)
        if sizes[smallest] == sizes[largest]:
            return f"every class has {sizes[smallest]} images"
        return f"smallest class: {smallest}, {sizes[smallest]} images; largest: {largest}, {sizes[largest]}"

    def _sizes_line(self) -> str:
        goal = f"{self.resize} to {self.size_px} px ({self.interpolation})"
        if self.smallest_px is None or self.largest_px is None:
            return f"images: {goal}"
        small, large = (f"{width} x {height}" for width, height in (self.smallest_px, self.largest_px))
        return f"images: {small if small == large else f'{small} to {large}'}, {goal}"
