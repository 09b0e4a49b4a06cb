"""What tells one type of encoder from another, as data: a description each."""
