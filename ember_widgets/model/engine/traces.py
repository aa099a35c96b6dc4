"""Work on a CPU as one flat list of operators: the same bits in less time.

With a small network, Python spends much of the time finding out which operator comes next. A trace is the
list of operators in order, which are simply called. A flat list also allows optimisations across layers.
Operators that do not depend on changing inputs run once. Values that are not read again may be overwritten.
Divisions by 1 are left out. Weights of linear layers are laid out as the CPU reads them, if that gives the
same bits as the plain operator.

A trace is kept only if it gives the same bits as the work on two inputs.
"""

from __future__ import annotations

import logging
import operator
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor, fx
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves, tree_map_only

from ember_widgets.model.engine.twin import N_RESULTS, same, without_caches
from ember_widgets.model.engine.watch import version_of

LOG = logging.getLogger(__name__)

Work = Callable[..., Any]
"""Tensors in, a tensor or a tuple of tensors out, no side effects."""
SMALL = 500_000
"""Up to so many weights a linear layer is laid out: it saves much of its time and takes little memory."""
HELD = 500_000_000
"""Bytes that work may compute. They are held while it is traced; with more, Python's share is negligible."""

_ATEN: Any = torch.ops.aten
_IN_PLACE = {
    _ATEN.silu.default: _ATEN.silu_.default,
    _ATEN.add.Tensor: _ATEN.add_.Tensor,
    _ATEN.mul.Tensor: _ATEN.mul_.Tensor,
}
_HIDDEN_VIEWS = {_ATEN._unsafe_view.default, _ATEN.lift.default, _ATEN._reshape_alias.default}


class Untraceable(Exception):
    """Some work cannot be traced; it then runs as usual."""


class Traced:
    """Work that is traced at its second call; for a single call tracing is not worth it.

    In a widget the second call comes when thumbnails are drawn, before the first stroke.

    Args:
        work: What to do.
        given: Its first inputs; later ones have the same shapes.
        n_lasting: How many of the inputs, the last ones, seldom change.
    """

    KEPT = 4  # for a picture, four seeds, and batches of icons

    def __init__(self, work: Work, given: Sequence[Tensor], n_lasting: int = 0) -> None:
        self._work = work
        self._n_passing = len(given) - n_lasting
        self._calls = 0
        self._trace: Trace | None = None

    def __call__(self, *given: Tensor) -> Any:
        self._calls += 1
        if self._calls == 2 and not torch.is_grad_enabled():
            self._trace = _verified(self._work, given, self._n_passing)
        return self._work(*given) if self._trace is None else self._trace(*given)


def _verified(work: Work, given: Sequence[Tensor], n_passing: int) -> Trace | None:
    """The trace of the work; None if it does not give the same bits."""
    tries = (given, [given[0].flip(-1) * 0.7, *given[1:]])
    plain = [work(*tried) for tried in tries]  # before tracing: weights get their layout at the first call
    try:
        trace = Trace(work, given, n_passing)
        for tried, expected in zip(tries, plain, strict=True):
            for made, right in zip(tree_leaves(trace(*tried)), tree_leaves(expected), strict=True):
                if made.stride() != right.stride() or not torch.equal(made, right):
                    return None
    except Exception as fault:  # another torch or another CPU: then the work runs as usual
        LOG.info("not traced: %s", fault)
        return None
    return trace


class Trace:
    """The operators of some work, in two lists: `first` reads only lasting inputs, `then` the others.

    Args:
        work: See `Traced`; it is run once.
        given: Its inputs; those that change at every call come first.
        n_passing: How many these are.

    Raises:
        Untraceable: The work changes tensors in place, depends on values, or computes too much; or a
            tensor was given twice.
    """

    def __init__(self, work: Work, given: Sequence[Tensor], n_passing: int) -> None:
        ours = {id(t) for t in given}
        if len(ours) < len(given):
            raise Untraceable("the same tensor is given twice")
        with without_caches(), _Tape() as tape:
            result = work(*given)
        steps = tape.steps
        passing = _reached(steps, given[:n_passing])
        lasting = _reached(steps, given[n_passing:])
        first = [step for step in steps if not step.reads(passing)]
        made_first = {id(t) for step in first for t in step.makes()}
        then = [step for step in steps if step.reads(passing)]
        then = [_packed(step, passing | lasting) for step in then]
        then, result = _without_ones(then, result)
        then = list(_overwriting(then, result))
        needed = [t for t in _needed(then, result) if id(t) not in ours]
        between = [t for t in needed if id(t) in made_first]
        self._constants = [t for t in needed if id(t) not in made_first]
        self._then = _compiled(then, [*given, *between, *self._constants], result)
        self._first_constants = [t for t in _needed(first, ()) if id(t) not in ours]
        self._first = _compiled(first, [*given[n_passing:], *self._first_constants], tuple(between))
        self._n_passing = n_passing
        self._kept: list[tuple[tuple[Tensor, ...], list[int | None], tuple[Tensor, ...]]] = []

    def __call__(self, *given: Tensor) -> Any:
        return self._then(*given, *self._lasting(given[self._n_passing :]), *self._constants)

    def _lasting(self, given: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
        """The results of `first`, cached."""
        for cached_input, versions, result in self._kept:
            if versions == [version_of(t) for t in cached_input] and all(map(same, given, cached_input)):
                return result
        made: tuple[Tensor, ...] = self._first(*given, *self._first_constants)
        now = [version_of(t) for t in given]
        if None not in now:
            self._kept = [(given, now, made), *self._kept[: N_RESULTS - 1]]
        return made


@dataclass(frozen=True)
class _Step:
    """A call of an operator, with its input and output tensors."""

    func: Any
    args: Any
    kwargs: Any
    result: Any

    def inputs(self) -> list[Tensor]:
        return [t for t in tree_leaves((self.args, self.kwargs)) if isinstance(t, Tensor)]

    def makes(self) -> list[Tensor]:
        return [t for t in tree_leaves(self.result) if isinstance(t, Tensor)]

    def reads(self, ids: set[int]) -> bool:
        return any(id(t) in ids for t in self.inputs())


class _Tape(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Records every operator that is called. It holds all tensors, so that ids stay unique."""

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.steps: list[_Step] = []
        self._held = 0

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        if func._schema.is_mutable:
            raise Untraceable(f"{func} changes its inputs")
        result = func(*args, **(kwargs or {}))
        step = _Step(func, args, kwargs or {}, result)
        made, read = step.makes(), {id(t) for t in step.inputs()}
        if not made:
            raise Untraceable(f"{func} depends on values, which may differ at the next call")
        if any(id(t) in read for t in made):
            return result  # an input
        self._held += 0 if _is_view(func) else sum(t.numel() * t.element_size() for t in made)
        if self._held > HELD:
            raise Untraceable("the work computes too much to hold all of it")
        self.steps.append(step)
        return result


def _is_view(func: Any) -> bool:
    """Whether an operator's output shares, or may share, memory with its inputs."""
    return func in _HIDDEN_VIEWS or any(returned.alias_info for returned in func._schema.returns)


def _reached(steps: Iterable[_Step], sources: Sequence[Tensor]) -> set[int]:
    """Ids of all tensors that depend on the sources."""
    reached = {id(t) for t in sources}
    for step in steps:
        if step.reads(reached):
            reached |= {id(t) for t in step.makes()}
    return reached


def _needed(steps: Sequence[_Step], result: Any) -> list[Tensor]:
    """The tensors that the steps and the result read and the steps do not make."""
    made = {id(t) for step in steps for t in step.makes()}
    read = [*(t for step in steps for t in step.inputs()), *tree_leaves(result)]
    return list({id(t): t for t in read if id(t) not in made}.values())


def _packed(step: _Step, changing: set[int]) -> _Step:
    """A small linear layer with its weights in another layout, where that gives the same bits."""
    if step.func not in (_ATEN.addmm.default, _ATEN.mm.default) or step.kwargs:
        return step
    *bias, x, weight = step.args
    if id(weight) in changing or weight.numel() > SMALL or not torch.backends.mkldnn.is_available():  # type: ignore[no-untyped-call]
        return step
    mkldnn: Any = torch.ops.mkldnn
    try:
        layout = mkldnn._reorder_linear_weight(weight.t().contiguous(), len(x))
        args: Any = (x, layout, bias[0] if bias else None, "none", [], "")
        linear = mkldnn._linear_pointwise.default
        return _Step(linear, args, {}, step.result) if torch.equal(linear(*args), step.result) else step
    except (AttributeError, RuntimeError, TypeError):  # another torch, another dtype
        return step


def _without_ones(steps: list[_Step], result: Any) -> tuple[list[_Step], Any]:
    """Without divisions by 1, which residual blocks end with."""
    stands_for: dict[int, Tensor] = {}

    def actual(t: Tensor) -> Tensor:
        return stands_for.get(id(t), t)

    kept, last = [], {id(t) for t in tree_leaves(result)}
    for step in steps:
        args, kwargs = tree_map_only(Tensor, actual, (step.args, step.kwargs))
        by_one = step.func is _ATEN.div.Tensor and not isinstance(args[1], Tensor) and args[1] == 1
        # The result must have its own memory.
        if by_one and id(step.result) not in last and _alike(args[0], step.result):
            stands_for[id(step.result)] = args[0]
        else:
            kept.append(replace(step, args=args, kwargs=kwargs))
    return kept, tree_map_only(Tensor, actual, result)


def _alike(one: Tensor, other: Tensor) -> bool:
    return (one.shape, one.stride(), one.dtype) == (other.shape, other.stride(), other.dtype)


def _overwriting(steps: list[_Step], result: Any) -> Iterator[_Step]:
    """The steps, in place where an input is not read again and has its own memory."""
    uses = Counter(id(t) for step in steps for t in step.inputs())
    uses.update(id(t) for t in tree_leaves(result))
    own = {id(t) for step in steps if not _is_view(step.func) for t in step.makes()}
    for step in steps:
        target = step.args[0] if step.func in _IN_PLACE else None
        if (
            isinstance(target, Tensor)
            and uses[id(target)] == 1
            and id(target) in own
            and _alike(target, step.result)
        ):
            step = replace(step, func=_IN_PLACE[step.func])
        yield step


def _compiled(steps: Sequence[_Step], inputs: Sequence[Tensor], result: Any) -> Callable[..., Any]:
    """The steps as one Python function of the inputs."""
    graph = fx.Graph()
    names = {id(t): graph.placeholder(f"given_{i}") for i, t in enumerate(inputs)}

    def named(value: Any) -> Any:
        return tree_map_only(Tensor, lambda t: names[id(t)], value)

    for step in steps:
        node = graph.call_function(step.func, tuple(named(list(step.args))), named(step.kwargs))
        if isinstance(step.result, Tensor):
            names[id(step.result)] = node
        else:
            for i, part in enumerate(step.result):
                if isinstance(part, Tensor):
                    names[id(part)] = graph.call_function(operator.getitem, (node, i))
    graph.output(named(result))
    graph.eliminate_dead_code()
    module = fx.GraphModule({}, graph)
    forward: Callable[..., Any] = module.forward
    return forward
