"""Recipes, losses, the training model with its one `train_step`, and the loop around it."""
