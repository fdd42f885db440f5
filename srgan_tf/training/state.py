"""The variables that a checkpoint must hold for training to go on exactly."""

import tensorflow as tf

from srgan_tf import compat


def of(model) -> dict[str, list[tf.Variable]]:
    """Networks' and optimizers' variables, by holder.

    As lists of plain variables: `tf.train.Checkpoint` does not see through the lists of layers in a Keras 3
    model, and leaves what is in them out without a word.
    """
    return {name: [compat.local(v) for v in variables] for name, variables in _variables(model).items()}


def spread(model) -> None:
    """Bring all replicas to the first one's state, which is what `of` holds, after restoring it."""
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
