"""Clips to batches: reading and caching clips, and the order in which training visits them."""
