"""Cross entropy with the labels that exist."""

from torch import Tensor
from torch.nn.functional import cross_entropy


def label_loss(logits: Tensor, labels: Tensor, partner_labels: Tensor, ratio: Tensor) -> Tensor:
    """Cross entropy averaged over the weight of the labels, in nats; zero without labels.

    A mixed view counts `ratio` for its own label and the rest for its partner's.

    Args:
        logits: [B, C].
        labels: Class or -1 for none, [B].
        partner_labels: The same for the image mixed in, [B].
        ratio: Share of the own image, in 0..1, [B].
    """
    own = ratio * (labels >= 0)
    other = (1 - ratio) * (partner_labels >= 0)
    losses = own * cross_entropy(logits, labels.clamp(min=0), reduction="none")
    losses = losses + other * cross_entropy(logits, partner_labels.clamp(min=0), reduction="none")
    return losses.sum() / (own + other).sum().clamp(min=1e-6)
