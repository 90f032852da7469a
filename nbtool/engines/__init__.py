"""Engines turn recipes into pixels; each speaks the protocol of `nbtool.engines.base`."""
