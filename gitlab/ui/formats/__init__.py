"""How dates are written where no component writes them."""
