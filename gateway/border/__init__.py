"""The room of the border: what an export rests on, stated, approved and ended in registers."""
