"""Strangers who register: who may, whose address is proven, whom an administrator lets in."""
