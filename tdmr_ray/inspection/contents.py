"""What is shown of a search's images in the report: plain data, ready for JSON; pictures are JPEG in base 64."""

from typing import TypedDict


class ShownIssue(TypedDict):
    """A label that is likely wrong.

    Attributes:
        picture: The image.
        path: Its name.
        split: `train` or `val`.
        label: The class that it was given.
        suggested: The class that the predictions suggest.
        probability: Out-of-fold probability of the given class.
    """

    picture: str
    path: str
    split: str
    label: str
    suggested: str
    probability: float


class Confusion(TypedDict):
    """Images of one class that are predicted as another one.

    Attributes:
        label: The true class.
        predicted: The other one.
        count: Number of such images.
        pictures: Some of them, the most confident prediction first.
    """

    label: str
    predicted: str
    count: int
    pictures: list[str]


class HeatMap(TypedDict):
    """An image of val and where the target looks (Grad-CAM of the predicted class).

    Attributes:
        picture: The image.
        overlay: The image in grey, with a red heat map.
        label: The true class.
        predicted: The predicted class.
        probability: Its probability.
    """

    picture: str
    overlay: str
    label: str
    predicted: str
    probability: float


class Inspection(TypedDict):
    """All that the report shows of the images.

    Attributes:
        num_labels: Number of labels that were checked, in train and val.
        num_issues: Number of labels that are likely wrong.
        issues: The surest of them.
        num_held_out: Number of val images that the confusions were counted on.
        confusions: The most frequent ones.
        heat_maps: Images of val that are predicted wrongly, then rightly; none if the network has no feature map.
    """

    num_labels: int
    num_issues: int
    issues: list[ShownIssue]
    num_held_out: int
    confusions: list[Confusion]
    heat_maps: list[HeatMap]
