"""The settings of the classifiers."""

from typing import Annotated, Any, Literal

from pydantic import AfterValidator, Discriminator, Field, Tag

from parcelle.settings_values import File, Group, class_place


class Forest(Group):
    """Random forest, or extremely randomised trees."""

    name: Literal["forest", "extra-trees"] = Field(
        "forest",
        description="Which classifier: in a `forest` the best threshold of each feature tried is searched for, in "
        "`extra-trees` it is drawn: training is faster, the trees are more than twice as large.",
    )
    trees: int = Field(100, ge=1, le=10_000, description="Number of trees.")
    depth: int | None = Field(25, ge=1, le=1000, description="Largest depth of a tree; no limit if empty.")
    min_samples: int = Field(5, ge=2, le=1_000_000, description="Samples a node needs to be split.")
    features: Annotated[int, Field(ge=1)] | Literal["sqrt", "log2"] = Field(
        "sqrt", description="Features tried at a split."
    )


class OwnModel(Group):
    """A classifier of your own."""

    name: Annotated[File, AfterValidator(class_place)] = Field(
        description="The class, as `module:Class` or `folder/file.py:Class`.", examples=["networks.py:Network"]
    )
    arguments: dict[str, Any] = Field({}, description="Given to the class by name.")
    memory_mb: int = Field(
        1000,
        ge=1,
        description="What it takes in memory, in MiB, beside the samples or the images: jobs that train it or map with "
        "it ask for it. No result depends on it.",
    )


def _kind_of_model(value: Any) -> str:
    """Which group of settings describes a model: the name of a class of one's own has a colon."""
    name = value.get("name", "") if isinstance(value, dict) else getattr(value, "name", "")
    return "OwnModel" if isinstance(name, str) and ":" in name else "Forest"


Model = Annotated[
    Annotated[Forest, Tag("Forest")] | Annotated[OwnModel, Tag("OwnModel")], Discriminator(_kind_of_model)
]
