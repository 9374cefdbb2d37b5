"""Clothing1M: one million web images of garments with real label noise."""
