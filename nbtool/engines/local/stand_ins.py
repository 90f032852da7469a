"""Copies of pipelines whose networks ask in place of computing."""

from __future__ import annotations

import copy
import functools
import hashlib
import inspect
from collections import OrderedDict
from collections.abc import Callable, Hashable
from typing import Any

from nbtool.engines.local import adapters, batching
from nbtool.engines.local.adapters import Weights
from nbtool.engines.local.answers import Answers

# What is answered at once, since an image waits for it to join the others; what is asked over and
# over and answered in wide batches; and what comes last and may wait for company.
FIRST, STEADY, LAST = range(3)

# Text encoders are not among them: prompts are encoded once for all, without being asked twice.
_METHODS = {
    "image_encoder": {"forward": FIRST},
    "unet": {"forward": STEADY},
    "transformer": {"forward": STEADY},
    "controlnet": {"forward": STEADY},
    "vae": {"encode": FIRST, "decode": LAST},
}
_HOOKS = (
    "_forward_hooks",
    "_forward_hooks_with_kwargs",
    "_forward_hooks_always_called",
    "_forward_pre_hooks",
    "_forward_pre_hooks_with_kwargs",
)


class StandIns:
    """The stand-ins of networks, one for each.

    Args:
        ask: Called as `ask(name, network, method, kind, *args, **kwargs)` for the network's answer;
            the name is the component's, and the method's if that is not its forward.
        answers: Where encoded prompts are kept.
        adapting: The adapters that are to act on text encoders now.
    """

    def __init__(
        self, ask: Callable[..., Any], answers: Answers, adapting: Callable[[], Weights]
    ) -> None:
        self._ask = ask
        self._answers = answers
        self._adapting = adapting
        self._known: dict[Any, Any] = {}

    def adopt(self, pipeline: Any) -> Any:
        """A copy of a pipeline with stand-ins for its networks; the pipeline stays as it is."""
        batching.register_distributions()
        own = copy.copy(pipeline)
        # Found out once: it takes a pipeline longer than a denoising step.
        known = {"_execution_device": pipeline._execution_device}  # noqa: SLF001
        if hasattr(pipeline, "encode_prompt"):
            known["encode_prompt"] = self._remembering(pipeline)
        own.__class__ = type(type(pipeline).__name__, (type(pipeline),), known)
        for name, component in pipeline.components.items():
            for prefix, methods in _METHODS.items():
                if component is not None and name.startswith(prefix):
                    # Past the pipeline's __setattr__, which would write out its configuration.
                    own.__dict__[name] = self._stand_in(name, component, methods)
        # With offloading it would tear the hooks off under the other images.
        own.__dict__["maybe_free_model_hooks"] = lambda: None
        return own

    def forget(self, network: Any) -> None:
        self._known.pop(network, None)

    def _remembering(self, pipeline: Any) -> Callable[..., Any]:
        """A pipeline's `encode_prompt`, which encodes only what it has not encoded before.

        However many images of it are asked for: each encoding is as often there as there are.
        """
        encode = type(pipeline).encode_prompt
        signature = inspect.signature(encode)
        parts = [
            pipeline.components[name]
            for name in sorted(pipeline.components)
            if name.startswith(("text_encoder", "tokenizer"))
        ]

        @functools.wraps(encode)
        def encode_prompt(self_: Any, *args: Any, **kwargs: Any) -> Any:
            given = signature.bind(self_, *args, **kwargs)
            images = given.arguments.get("num_images_per_prompt", 1)
            if images != 1:
                given.arguments["num_images_per_prompt"] = 1
            try:
                said = [_told(value) for value in (*given.args[1:], *given.kwargs.values())]
            except TypeError:
                with adapters.acting_on(parts, self._adapting()):
                    return encode(self_, *args, **kwargs)
            weights = adapters.present(parts, self._adapting())
            asked = (encode, *parts, *said, *given.kwargs, *sorted(weights.items()))
            encoded = self._answers.get(asked)
            if encoded is None:
                with adapters.acting_on(parts, weights):
                    encoded = encode(*given.args, **given.kwargs)
                self._answers.put(asked, encoded)
            return encoded if images == 1 else batching.repeated(encoded, images)

        return encode_prompt

    def _stand_in(self, name: str, module: Any, methods: dict[str, int]) -> Any:
        """A shallow copy of a network, with its weights, whose methods ask."""
        if module not in self._known:
            own = copy.copy(module)
            for method, kind in methods.items():
                called = name if method == "forward" else f"{name}.{method}"
                own.__dict__[method] = functools.partial(self._ask, called, module, method, kind)
            for hooks in _HOOKS:  # the network itself runs them
                own.__dict__[hooks] = OrderedDict()
            own.__dict__["_compiled_call_impl"] = None
            # SDXL's pipelines cast the shared VAE back and forth; ours keeps the dtype it has.
            own.__dict__["to"] = lambda *_, **__: own
            self._known[module] = own
        return self._known[module]


def _told(value: Any) -> Hashable:
    """What tells an argument from others: pictures by their pixels.

    Raises:
        TypeError: Nothing does.
    """
    from PIL.Image import Image

    if isinstance(value, list) and all(isinstance(one, Image) for one in value):
        return tuple(map(_told, value))
    if isinstance(value, Image):
        return value.mode, value.size, hashlib.sha256(value.tobytes()).digest()
    if batching.is_plain(value):
        return type(value), value
    raise TypeError
