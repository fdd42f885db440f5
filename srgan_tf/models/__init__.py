"""Networks: what every generator owes the rest (`base`), the generators, the discriminators, VGG, and weight files."""
