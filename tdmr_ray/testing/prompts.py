"""The contract of prompts."""

import pytest
import torch

from tdmr_ray.method.prompts import Prompt, PromptConfig
from tdmr_ray.method.resize import resize
from tdmr_ray.testing.component import ComponentContract, check_groups, foundation_shape


class PromptContract(ComponentContract):
    """Contract of a prompt."""

    base, shapes_teacher = Prompt, True

    @staticmethod
    def build(component: type[Prompt], config: PromptConfig) -> Prompt:
        """Build the prompt in evaluation mode for an input of 16 x 16 pixels."""
        return component(config, foundation_shape()).eval()

    @pytest.mark.parametrize("image_px", [8, 16, 20])
    def test_output_is_an_image_of_the_foundations_size(
        self, component: type[Prompt], config: PromptConfig, image_px: int
    ) -> None:
        images = torch.rand(2, 3, image_px, image_px)
        prompt = self.build(component, config)
        prompt.start_from(images)
        out = prompt(images)
        assert out.shape == (2, 3, 16, 16)
        assert 0 <= out.min() <= out.max() <= 1

    def test_parameter_groups_hold_every_trained_parameter_once(
        self, component: type[Prompt], config: PromptConfig
    ) -> None:
        prompt = self.build(component, config)
        check_groups(prompt.parameter_groups(), prompt)
        assert prompt.learns == bool(prompt.parameter_groups())

    def test_every_parameter_gets_a_gradient_or_joins_as_a_token(
        self, component: type[Prompt], config: PromptConfig
    ) -> None:
        prompt = self.build(component, config)
        total = prompt(torch.full((1, 3, 16, 16), 0.4)).square().sum()
        tokens = prompt.extra_tokens()
        total = total if tokens is None else total + tokens.sum()
        if prompt.learns:
            total.backward()
        assert all(parameter.grad is not None for parameter in prompt.parameters() if parameter.requires_grad)

    def test_prompt_of_an_image_does_not_depend_on_its_batch(
        self, component: type[Prompt], config: PromptConfig
    ) -> None:
        prompt, images = self.build(component, config), torch.rand(4, 3, 16, 16)
        _randomize(prompt)
        alone = torch.cat([prompt(image.unsqueeze(0)) for image in images])
        torch.testing.assert_close(prompt(images), alone)

    def test_prompt_that_learns_nothing_only_resizes(self, component: type[Prompt], config: PromptConfig) -> None:
        """Features without a learned prompt are shared on this ground."""
        prompt, images = self.build(component, config), torch.rand(2, 3, 12, 12)
        assert prompt.learns or (torch.equal(prompt(images), resize(images, 16)) and prompt.extra_tokens() is None)

    def test_picture_is_an_image_without_gradient(self, component: type[Prompt], config: PromptConfig) -> None:
        prompt = self.build(component, config)
        _randomize(prompt)
        picture = prompt.picture()
        if picture is not None:
            assert picture.shape == (3, 16, 16)
            assert not picture.requires_grad
            assert 0 <= picture.min() <= picture.max() <= 1


def _randomize(prompt: Prompt) -> None:
    for parameter in prompt.parameters():
        torch.nn.init.normal_(parameter, std=0.3)
