"""Balance and specialisation of the experts: losses for training, and the mutual information reported."""

import math

import torch


def balance_loss(probabilities, chosen):
    """Switch's load balance over the whole batch: 1 when every expert gets the same share."""
    experts = probabilities.shape[1]
    share = chosen.reshape(-1).bincount(minlength=experts).to(probabilities.dtype) / chosen.numel()
    return experts * (share * probabilities.mean(0)).sum()


def soft_mutual_information(probabilities, task, tasks: int):
    """I(task; expert) in nats of the routers' probabilities; tokens of task -1 do not count."""
    wanted = (task >= 0).nonzero().squeeze(1)
    p, t = probabilities.index_select(0, wanted), task.index_select(0, wanted)
    joint = torch.zeros(tasks, p.shape[1]).index_add(0, t, p) / len(t)
    product = joint.sum(1, keepdim=True) * joint.sum(0, keepdim=True)
    return (joint * ((joint + 1e-9) / (product + 1e-9)).log()).sum()


def mutual_information_bits(counts) -> float:
    """Plug-in I(task; expert) in bits of counts [tasks, experts] of routing choices."""
    joint = counts.double() / counts.sum()
    product = joint.sum(1, keepdim=True) * joint.sum(0, keepdim=True)
    mask = joint > 0
    return float((joint[mask] * (joint[mask] / product[mask]).log()).sum() / math.log(2))
