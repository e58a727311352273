"""Parameters that had another name in an earlier edition."""

RENAMED = {
    "confirm.control_steps": "confirm.steps",
    "objective.maximize": "objective.metric",
    "signals.kind": "outputs.kind",
    "signals.num_views": "outputs.num_views",
    "signals.consensus": "outputs.view_averaging",
    "signals.neighbors": "outputs.propagation_neighbors",
    "signals.spread": "outputs.propagation_alpha",
    "distill.loss": "loss.kind",
    "distill.standardize": "loss.standardize",
    "distill.alignment": "alignment.kind",
    "distill.own_share": "distill.self_distillation_weight",
    "reprogram.lr": "mapping.lr",
    "reprogram.weight_decay": "mapping.weight_decay",
    "reprogram.prompt_lr": "prompt.lr",
    "data.mirror": "views.mirror",
}
"""Names of earlier editions and today's."""
