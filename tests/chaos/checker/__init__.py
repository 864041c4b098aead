"""The independent checker of a chaos run. It shares no code with the product: readers, folds and rules are its own."""
