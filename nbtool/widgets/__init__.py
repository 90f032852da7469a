"""Widgets for notebooks. The only place that imports ipywidgets and anywidget."""
