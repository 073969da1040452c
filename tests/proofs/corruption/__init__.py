"""Damage the files of a stopped gateway, and judge what the next start keeps and reports."""
