"""Labellers: whatever can say in words what a feature stands for, behind one small interface."""
