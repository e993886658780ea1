import pytest

from rescaling_core.errors import UsageError
from tasks.jobs.train.data import RECIPES_DIR, load_any_recipe, load_recipe, parse_recipe

MINIMAL = """
id = "mine"
title = "Mine"
family = "irn"
scales = [2]
network = { scale = 2, blocks = [1] }
latent = { kind = "zeros" }
[optimisation]
steps = 10
"""


@pytest.mark.parametrize("recipe_id", sorted(path.stem for path in RECIPES_DIR.glob("*.toml")))
def test_every_bundled_recipe_is_valid_and_named_as_its_file(recipe_id):
    recipe = load_any_recipe(recipe_id)
    assert recipe.id == recipe_id
    assert recipe.data


def test_a_recipe_needs_little():
    recipe = parse_recipe(MINIMAL, name="mine.toml")
    assert recipe.optimisation.steps == 10
    assert recipe.objective.name == "plain"


@pytest.mark.parametrize(
    ("old", "new", "complaint"),
    [
        ("steps = 10", "steps = 0", "steps = 0: at least 1"),
        ("steps = 10", "steps = 10\nspeed = 3", "optimisation.speed: Unexpected"),
        ('family = "irn"', "", "family: Field required"),
        ("scales = [2]", "scales = []", "at least one scale"),
        ("scales = [2]", 'scales = "many"', "scales: Input should be a valid tuple"),
        ('kind = "zeros"', 'kind = "ones"', "latent.kind: Input should be"),
        ("steps = 10", "steps = 10\n[compression]\ncodecs = ['gif']", "codec 'gif'"),
        (
            "steps = 10",
            "steps = 10\n[compression]\ncodecs = ['avif']\ngradient = 'mixed'",
            "mixed is for JPEG",
        ),
        ("steps = 10", "steps = 10\n[compression]\nquality = [90, 30]", "90 is above 30"),
        ("id =", "id", "not TOML"),
    ],
)
def test_a_wrong_recipe_is_refused_in_one_line_that_names_file_and_field(old, new, complaint):
    assert old in MINIMAL
    with pytest.raises(UsageError) as caught:
        parse_recipe(MINIMAL.replace(old, new), name="mine.toml")
    assert complaint in str(caught.value)
    assert "mine" in str(caught.value)
    assert "\n" not in str(caught.value)


def test_an_unknown_recipe_is_refused_with_those_there_are():
    with pytest.raises(UsageError, match="irn-x2-lite"):
        load_recipe("irn-x9")


def test_the_recipe_of_a_restorer_is_not_taken_for_that_of_a_rescaler():
    with pytest.raises(UsageError, match="restorer-avif-lite: the recipe of a restorer"):
        load_recipe("restorer-avif-lite")
    with pytest.raises(UsageError, match=r"mine\.toml: kind"):
        parse_recipe('kind = "rescaler"' + MINIMAL, name="mine.toml")
