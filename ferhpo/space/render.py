"""A study as the text of a study file: what a program made of another study, written as a user would."""

import json
from dataclasses import fields
from typing import Any

from ferhpo.space.dimension import Dimension
from ferhpo.space.spec import SECTIONS, StudySpec, of_images


def render(spec: StudySpec) -> str:
    """Return TOML that `spec.parse_spec` reads back to an equal study, but for name, path, text and base."""
    metric = spec.objectives if len(spec.objectives) > 1 else spec.metric
    lines = [f"description = {_value(spec.description)}", f"metric = {_value(metric)}"]
    lines += [f"constraints = {_value(tuple(map(str, spec.constraints)))}", f"seed = {spec.seed}"]
    for section in SECTIONS:
        changed = _changed(getattr(spec, section))
        if changed:
            lines += ["", f"[{section}]", *(f"{name} = {_value(value)}" for name, value in changed.items())]
    reported = _changed(spec.reported)
    if reported:
        lines += ["", "[reported]", *(f"{name} = {_value(value)}" for name, value in reported.items())]
    said = {"frames": spec.data.frames, **of_images(spec.data)}  # by [data]
    fixed = {name: value for name, value in spec.space.fixed.items() if said.get(name) != value}
    lines += ["", "[space]", *(f"{name} = {_value(value)}" for name, value in fixed.items())]
    lines += [f"{dimension.name} = {_dimension(dimension)}" for dimension in spec.space.dimensions]
    for one in spec.tries:
        lines += ["", "[[try]]", *(f"{name} = {_value(value)}" for name, value in one.given.items())]
    return "\n".join(lines) + "\n"


def _changed(section: Any) -> dict[str, Any]:
    """Return the fields of a section that are not as they are by default."""
    found = {f.name: (f.default, getattr(section, f.name)) for f in fields(section)}
    return {name: value for name, (default, value) in found.items() if value != default}


def _dimension(dimension: Dimension) -> str:
    parts: dict[str, Any] = {"default": dimension.default}
    if dimension.choices:
        parts["choices"] = dimension.choices
    else:
        parts |= {"low": dimension.low, "high": dimension.high}
    if dimension.log:
        parts["log"] = True
    if dimension.step is not None:
        parts["step"] = dimension.step
    inner = [f"{name} = {_value(value)}" for name, value in parts.items()]
    if dimension.when:
        conditions = ", ".join(f"{name} = {_value(values)}" for name, values in dimension.when.items())
        inner.append(f"when = {{ {conditions} }}")
    return f"{{ {', '.join(inner)} }}"


def _value(value: Any) -> str:
    """Return a text, number, truth or list of such as TOML, which writes them as JSON does."""
    if isinstance(value, (tuple, list)):
        return f"[{', '.join(map(_value, value))}]"
    return json.dumps(value, ensure_ascii=False)
