"""What leaves the house: marts as files and as tables of a paper, mapped vectors as other programs read them."""
