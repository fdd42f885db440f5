"""The variables that a checkpoint must hold for training to resume exactly."""

import tensorflow as tf

from srgan_tf import compat


def of(model) -> dict[str, list[tf.Variable]]:
    """Return the variables of networks and optimizers, by holder, as plain lists.

    `tf.train.Checkpoint` silently leaves out layers in lists of a Keras 3 model.
    """
    return {name: [compat.local(v) for v in variables] for name, variables in _variables(model).items()}


def broadcast(model) -> None:
    """Broadcast the first replica's variables after a restore."""
    for variables in _variables(model).values():
        for variable in variables:
            if compat.local(variable) is not variable:
                variable.assign(compat.local(variable))


def _variables(model) -> dict[str, list]:
    names = ("generator", "ema_generator", "discriminator", "optimizer", "d_optimizer")
    holders = {name: holder for name in names if (holder := getattr(model, name)) is not None}
    variables = {
        name: compat.optimizer_variables(holder) if name.endswith("optimizer") else holder.weights
        for name, holder in holders.items()
    }
    return {name: [compat.tf_variable(v) for v in values] for name, values in variables.items()}
