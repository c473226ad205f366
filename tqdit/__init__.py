"""Diffusion Transformers quantized after training. The names below are imported when they are first used."""

__version__ = "0.2.0"

from importlib import import_module as _import_module

_FACE = dict(load='face', quantize='face', save='face', sample='diffusion', evaluate='judge.draw',
             engines='integer.engines', Policy='quant.policy', from_pretrained='pipeline', model_card='hub',
             push_to_hub='hub')
__all__ = [*_FACE, 'methods'] # the package tqdit.methods can be called: it lists the methods


def __getattr__(name):
    if name == 'methods':
        return _import_module('tqdit.methods')
    if name in _FACE:
        return getattr(_import_module(f'tqdit.{_FACE[name]}'), name)
    raise AttributeError(f'module tqdit has no attribute {name!r}; it has {", ".join(__all__)}')


def __dir__():
    return sorted([*globals(), *__all__])
