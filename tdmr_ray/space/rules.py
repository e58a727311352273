"""What must hold for a whole space file: its names, and its sections held against each other."""

from tdmr_ray.data.datasets import check_dataset, load_dataset
from tdmr_ray.data.splits import split_dataset
from tdmr_ray.errors import InputError, near_match
from tdmr_ray.method.label_mapping import LABEL_RULES
from tdmr_ray.models import check_foundation, check_target
from tdmr_ray.models.foundation import facts_of
from tdmr_ray.models.names import PRETRAINED, FoundationFacts
from tdmr_ray.space.parameter import ordered_by_condition
from tdmr_ray.space.space import INPUT_PX, WEIGHTS, Space
from tdmr_ray.training.controls import CONTROLS

OBJECTIVES = ("val/top1",)
MOST_SIZES = 16
"""Of a target's images: its cost is measured with each."""


def check_names(space: Space) -> list[str]:
    """Names of data, networks, objective and controls."""
    problems = check_dataset(space.data.name)
    for part in space.pairs.by_label.values():
        problems += check_foundation(part.name, part.weights)
    if len(space.pairs.by_label) < len(space.pairs.foundations):
        problems.append("pairs.foundations: two of them would have one name in tables; name their files differently")
    problems += dict.fromkeys(
        text for part in space.all_target_versions for text in check_target(part.name, part.weights)
    )
    if len(space.pairs.by_name) < len(space.pairs.targets):
        problems.append(f"pairs.targets: a name must not come twice; search {INPUT_PX} or {WEIGHTS} instead")
    objective = space.objective.maximize
    if not objective.startswith("val/"):
        rule = "must start with 'val/'"
        reason = "; test is read once, when finalists are confirmed" if objective.startswith("test/") else ""
        problems.append(f"objective.maximize: {rule}, got '{objective}'{reason}")
    elif objective not in OBJECTIVES:
        problems.append(f"objective.maximize: unknown, got '{objective}'{near_match(objective, OBJECTIVES)}")
    for control in space.confirm.controls:
        if control not in CONTROLS:
            problems.append(f"confirm.controls: unknown control '{control}'{near_match(control, CONTROLS)}")
    return problems


def check_meaning(space: Space) -> list[str]:
    """What only shows when sections are held against each other; every name is known by now."""
    try:
        ordered_by_condition(space.search)
    except ValueError as error:
        return [f"search: {error}"]
    dataset = load_dataset(space.data.name)
    num_classes = len(dataset.class_names)
    problems: list[str] = []
    try:
        split_dataset(
            dataset.labels.numpy(),
            shots=space.data.shots,
            split_seed=space.data.split_seed,
            shots_seed=space.data.shots_seed,
            parts=dataset.parts,
        )
    except InputError as error:
        problems += error.problems
    for label, part in space.pairs.by_label.items():
        try:
            facts = facts_of(part.name, weights=part.weights, image_px=part.image_px)
        except InputError as error:
            problems += error.problems
            continue
        problems += _check_foundation_fit(space, label, facts, num_classes)
    problems += _check_stages(space)
    problems += _check_workers(space)
    if num_classes < 3:
        problems += _check_two_classes(space)
    if "self_training" in space.confirm.controls and not space.data.unlabeled:
        problems.append(
            "confirm.controls: 'self_training' needs images without labels; set data.unlabeled, or leave it out"
        )
    problems += _check_targets(space)
    return problems


def _check_targets(space: Space) -> list[str]:
    """Rules for the weights that targets start from and the sizes of image that they get."""
    problems = []
    for parameter, attribute in ((INPUT_PX, "input_px"), (WEIGHTS, "weights")):
        entries = [name for name, part in space.pairs.by_name.items() if getattr(part, attribute)]
        for section in ("search", "fixed"):
            if entries and parameter in getattr(space, section):
                problems.append(
                    f"{section}.{parameter}: '{entries[0]}' has its own in pairs.targets; keep one of the two"
                )
    for name, part in space.pairs.by_name.items():
        if "fine_tune" in space.confirm.controls and not part.weights and check_target(name, PRETRAINED):
            problems.append(
                f"confirm.controls: 'fine_tune' needs weights of '{name}', and timm has none; leave the control out"
            )
    sizes = space.search.get(INPUT_PX)
    if sizes is not None and len(sizes.grid or ()) > MOST_SIZES:
        problems.append(f"search.{INPUT_PX}: must have at most {MOST_SIZES} sizes, since each is timed; give choices")
    if sizes is not None and space.objective.minimize:
        problems.append(
            f"objective.minimize: costs differ within a pair when {INPUT_PX} is searched; give each target one size: "
            "{name: NAME, input_px: 128}"
        )
    return problems


def _check_workers(space: Space) -> list[str]:
    """Rules for trials of several workers."""
    resources, problems = space.resources, []
    if resources.min_workers and resources.min_workers > resources.workers:
        problems.append(
            f"resources.min_workers: must be at most workers, got {resources.min_workers} and {resources.workers}"
        )
    if resources.gpu == "auto" and max(resources.workers, resources.reprogram_workers) > 1:
        problems.append("resources.gpu: 'auto' measures a trial of one process; with several workers give a number")
    smallest = min(int(value) for value in space.possible_values("distill.batch_size"))
    if smallest < 2 * resources.workers:
        problems.append(
            f"resources.workers: each needs at least 2 images of a batch, got {resources.workers} and "
            f"distill.batch_size {smallest}"
        )
    return problems


def _check_foundation_fit(space: Space, name: str, facts: FoundationFacts, num_classes: int) -> list[str]:
    problems = []
    prompts = space.possible_values("prompt.kind")
    widest, most = max(space.possible_values("prompt.size_px")), facts.image_px / 2
    if widest > most or (widest == most and {"border", "overlay"} & set(prompts)):
        problems.append(
            f"prompt.size_px: must be less than half of the {facts.image_px} px that '{name}' takes, got {widest}"
        )
    if "tokens" in prompts and not facts.takes_tokens:
        problems.append(f"prompt.kind: 'tokens' needs a plain transformer, and '{name}' is none; leave it out")
    kinds = [kind for kind in space.possible_values("mapping.kind") if kind in LABEL_RULES]
    for kind in kinds:
        if facts.num_source_classes == 0:
            usable = "linear, prototype"
            problems.append(f"mapping.kind: '{kind}' reads source classes, and '{name}' has none; use {usable}")
        elif LABEL_RULES[kind].one_to_one and facts.num_source_classes < num_classes:
            problems.append(
                f"mapping.kind: '{kind}' needs a source class for each of the {num_classes} task classes, "
                f"but '{name}' has {facts.num_source_classes}; use bayesian, linear or prototype"
            )
    return problems


def _check_stages(space: Space) -> list[str]:
    most = max(space.possible_values("distill.num_stages"))
    if most > space.budget.epochs:
        return [f"distill.num_stages: must be at most budget.epochs ({space.budget.epochs}), got {most}"]
    return []


def _check_two_classes(space: Space) -> list[str]:
    problems = []
    if "dkd" in space.possible_values("distill.loss"):
        problems.append("distill.loss: 'dkd' needs at least 3 task classes, got 2; use kl, mse or dist")
    if True in space.possible_values("distill.standardize"):
        problems.append("distill.standardize: says nothing with 2 task classes; set it to false")
    return problems
