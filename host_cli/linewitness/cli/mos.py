"""`linewitness mos`: the E-model as a calculator."""

from __future__ import annotations

import math
from dataclasses import asdict
from typing import Any

import click

from linewitness import emodel
from linewitness.cli import command
from linewitness.errors import UsageProblem


def _render(answer: dict[str, Any]) -> str:
    given = ", ".join(f"{symbol} {value:g}" for symbol, value in answer["inputs"].items()) or "all defaults"
    terms = "  ".join(f"{name} {answer[name]:.4f}" for name in ("Ro", "Is", "Id", "Ie_eff"))
    return f"R {answer['R']:.4f}  MOS-CQE {answer['MOS']:.4f}  ({given})\n{terms}"


def mos_command(**given: float | None) -> object:
    inputs = {parameter.symbol: given[parameter.symbol.lower()] for parameter in emodel.PARAMETERS}
    chosen = {symbol: value for symbol, value in inputs.items() if value is not None}
    for symbol, value in chosen.items():
        if not math.isfinite(value):
            raise UsageProblem(f"wanted a number, got {value}", f"--{symbol}", "a value in the range of --help")
    outside = [p.symbol for p in emodel.PARAMETERS if p.symbol in chosen and not p.permits(chosen[p.symbol])]
    for symbol in outside:
        p = next(p for p in emodel.PARAMETERS if p.symbol == symbol)
        click.echo(f"note: --{symbol} {chosen[symbol]:g} is outside the permitted {p.low:g}..{p.high:g}", err=True)
    try:
        rating = emodel.rate(**chosen)
    except (ValueError, ZeroDivisionError, OverflowError):
        raise UsageProblem("these inputs have no rating", "ITU-T G.107", "values in the ranges of --help") from None
    return {"inputs": chosen, "outside_range": outside, **asdict(rating)}


mos_command.__name__ = "mos"
mos_command.__doc__ = """E-model calculator: R and MOS-CQE of a narrowband call (ITU-T G.107).

Example: linewitness mos --Ie 11 --Bpl 19 --Ppl 2
"""
mos = command(fleet=False, render=_render)(mos_command)
for _parameter in reversed(emodel.PARAMETERS):
    mos = click.option(
        f"--{_parameter.symbol}",
        _parameter.symbol.lower(),
        type=float,
        help=_parameter.name
        + (f", {_parameter.unit}" if _parameter.unit else "")
        + f" [default: {_parameter.default:g}]",
    )(mos)
