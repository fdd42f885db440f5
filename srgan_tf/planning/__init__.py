"""Batches: which pictures to upscale, where results go, and which exist already; on disks and object stores alike."""
