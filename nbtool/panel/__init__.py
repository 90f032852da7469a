"""The panel: a form, a gallery and sweeps, made of widgets."""
