"""Pictures of any size through a model, whatever kind it is."""
