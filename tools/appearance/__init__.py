"""How pictures look, in numbers: how alike two are, how near to a look, whether one copies another."""
