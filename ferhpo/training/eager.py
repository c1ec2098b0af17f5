"""torch's optimisers, without what readies them for `torch.compile`.

That imports the compiler when an optimiser is made and when it steps: 150 MiB and a second (four where Python may keep
no bytecode) in every process that trains, and nobody compiles an optimiser here. `inspect.unwrap` takes torch's own
functions out of the decorators that do so, and returns them as they are where a later torch has none.
"""

from inspect import unwrap

import torch


class Eager(torch.optim.Optimizer):
    """What is common to all of them; a base to be named before torch's class."""

    add_param_group = unwrap(torch.optim.Optimizer.add_param_group)
    zero_grad = unwrap(torch.optim.Optimizer.zero_grad)


class SGD(Eager, torch.optim.SGD):
    """Stochastic gradient descent."""

    step = torch.no_grad()(unwrap(torch.optim.SGD.step))


class Adam(Eager, torch.optim.Adam):
    """Kingma and Ba 2015, Adam: A Method for Stochastic Optimization, arXiv 1412.6980."""

    step = torch.no_grad()(unwrap(torch.optim.Adam.step))


class AdamW(Eager, torch.optim.AdamW):
    """Loshchilov and Hutter 2019, Decoupled Weight Decay Regularization, arXiv 1711.05101."""

    step = torch.no_grad()(unwrap(torch.optim.AdamW.step))
