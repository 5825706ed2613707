"""Form encoding with bracket keys, and the checks that turn its strings into typed parameters.

A `Check` takes what was sent for one parameter and its name in bracket notation, and answers the value; None means
"unset it", which the wire writes as an empty string.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from itertools import pairwise
from typing import Any, TypeAlias
from urllib.parse import parse_qsl, urlsplit

from sandbox.stripe.errors import StripeError, invalid, not_simulated

Raw: TypeAlias = "str | dict[str, Raw]"
Form: TypeAlias = dict[str, Raw]
Check: TypeAlias = Callable[[Raw, str], Any]

METADATA_KEYS, METADATA_KEY_LENGTH, METADATA_VALUE_LENGTH = 50, 40, 500


def parse(encoded: bytes) -> Form:
    """`a[b]=1&c[]=2&c[1]=3` to `{"a": {"b": "1"}, "c": {"0": "2", "1": "3"}}`; a check knows what is an array.

    Raises: StripeError for bytes that are no UTF-8, or a key that is a value and an object at once.
    """
    form: Form = {}
    try:
        pairs = parse_qsl(encoded.decode(), keep_blank_values=True, errors="strict")
    except UnicodeDecodeError as exc:
        raise StripeError(400, "Invalid UTF-8 in the request's parameters.") from exc
    for key, value in pairs:
        match = re.fullmatch(r"([^\[\]]+)((?:\[[^\[\]]*\])*)", key)
        segments = [match[1], *re.findall(r"\[([^\[\]]*)\]", match[2])] if match else [key]
        _plant(form, segments, value, key)
    return form


def _plant(node: Form, segments: Sequence[str], value: str, key: str) -> None:
    for segment, following in pairwise(segments):
        child = node.setdefault(segment or _open_element(node, following), {})
        if isinstance(child, str):
            raise invalid(f"Invalid hash: {key}", key)
        node = child
    last = segments[-1] or str(len(node))
    if isinstance(node.get(last), dict):
        raise invalid(f"Invalid string: {key}", key)
    node[last] = value


def _open_element(array: Form, member: str) -> str:
    """In `a[][x]=1&a[][y]=2&a[][x]=3` the member that comes again begins the next element."""
    last = array.get(str(len(array) - 1))
    return str(len(array) - 1) if isinstance(last, dict) and member and member not in last else str(len(array))


def text(*, unset: bool = False, most: int = 5000) -> Check:
    """A string; an empty one unsets the parameter, where that can be."""

    def check(raw: Raw, name: str) -> str | None:
        if not isinstance(raw, str):
            raise invalid("Invalid string: an object was sent", name)
        if not raw:
            _check_unset(name, unset)
            return None
        if len(raw) > most:
            raise invalid(
                f"Invalid string: must be at most {most} characters", name, "parameter_invalid_string_too_long"
            )
        return raw

    return check


def integer(*, least: int | None = None, most: int | None = None) -> Check:
    def check(raw: Raw, name: str) -> int:
        if not isinstance(raw, str) or not re.fullmatch(r"-?[0-9]{1,18}", raw):
            raise invalid(f"Invalid integer: {raw}", name, "parameter_invalid_integer")
        value = int(raw)
        if least is not None and value < least:
            raise invalid(f"This value must be greater than or equal to {least}.", name, "parameter_invalid_integer")
        if most is not None and value > most:
            raise invalid(f"This value must be less than or equal to {most}.", name, "parameter_invalid_integer")
        return value

    return check


def boolean(raw: Raw, name: str) -> bool:
    if raw not in ("true", "false"):
        raise invalid(f"Invalid boolean: {raw}", name)
    return raw == "true"


def choice(*options: str, unset: bool = False) -> Check:
    def check(raw: Raw, name: str) -> str | None:
        if raw == "":
            _check_unset(name, unset)
            return None
        if raw not in options:
            raise invalid(f"Invalid {name}: must be one of {', '.join(options)}", name)
        return str(raw)

    return check


def url(raw: Raw, name: str) -> str:
    parts = urlsplit(raw) if isinstance(raw, str) else None
    if parts is None or not parts.scheme or not (parts.netloc or parts.path):
        raise invalid("Not a valid URL", name, "url_invalid")
    return str(raw)


def array(item: Check, *, unset: bool = False) -> Check:
    """A list, in the order of its indexes."""

    def check(raw: Raw, name: str) -> list[Any] | None:
        if raw == "":
            _check_unset(name, unset)
            return None
        if isinstance(raw, str) or not all(index.isdecimal() for index in raw):
            raise invalid("Invalid array", name)
        return [item(raw[index], f"{name}[{index}]") for index in sorted(raw, key=int)]

    return check


def fields(spec: Mapping[str, Check], required: Sequence[str] = (), *, unset: bool = False) -> Check:
    """An object with no members but those of `spec`. Absent ones stay absent."""

    def check(raw: Raw, name: str) -> dict[str, Any] | None:
        if raw == "":
            _check_unset(name, unset)
            return None
        if isinstance(raw, str):
            raise invalid("Invalid object", name)
        unknown = [_member(name, key) for key in raw if key not in spec]
        if unknown:
            plural = "s" if len(unknown) > 1 else ""
            raise invalid(f"Received unknown parameter{plural}: {', '.join(unknown)}", unknown[0], "parameter_unknown")
        for key in required:
            if key not in raw:
                raise invalid(f"Missing required param: {_member(name, key)}.", _member(name, key), "parameter_missing")
        return {key: spec[key](value, _member(name, key)) for key, value in raw.items()}

    return check


def metadata(raw: Raw, name: str) -> dict[str, str | None] | None:
    """What to set and, as None, what to delete; None altogether empties it."""
    if raw == "":
        return None
    if isinstance(raw, str):
        raise invalid("Invalid object", name)
    for key, value in raw.items():
        if not isinstance(value, str):
            raise invalid("Metadata values are strings.", _member(name, key))
        if len(key) > METADATA_KEY_LENGTH:
            raise invalid(f"Metadata keys have at most {METADATA_KEY_LENGTH} characters.", name)
        if len(value) > METADATA_VALUE_LENGTH:
            raise invalid(f"Metadata values have at most {METADATA_VALUE_LENGTH} characters.", _member(name, key))
    return {key: str(value) or None for key, value in raw.items()}


def merged(old: Mapping[str, str], change: Mapping[str, str | None] | None) -> dict[str, str]:
    """Metadata after a change as `metadata` reads it. Raises: StripeError for more than 50 keys."""
    result = {} if change is None else {**old, **change}
    kept = {key: value for key, value in result.items() if value is not None}
    if len(kept) > METADATA_KEYS:
        raise invalid(f"Metadata has at most {METADATA_KEYS} keys.", "metadata")
    return kept


def unsimulated(*names: str) -> dict[str, Check]:
    """Parameters that Stripe knows and the sandbox does not: 501 rather than a lie."""

    def check(raw: Raw, name: str) -> Any:
        raise not_simulated(f"the parameter {name}")

    return dict.fromkeys(names, check)


def _member(name: str, key: str) -> str:
    return f"{name}[{key}]" if name else key


def _check_unset(name: str, allowed: bool) -> None:
    if not allowed:
        raise invalid(
            f"You passed an empty string for '{name}', which cannot be unset.", name, "parameter_invalid_empty"
        )


CURRENCIES = frozenset(
    "aed afn all amd ang aoa ars aud awg azn bam bbd bdt bgn bhd bif bmd bnd bob brl bsd bwp byn bzd cad cdf "
    "chf clp cny cop crc cve czk djf dkk dop dzd egp etb eur fjd fkp gbp gel gip gmd gnf gtq gyd hkd hnl htg "
    "huf idr ils inr isk jmd jod jpy kes kgs khr kmf krw kwd kyd kzt lak lbp lkr lrd lsl mad mdl mga mkd mmk "
    "mnt mop mur mvr mwk mxn myr mzn nad ngn nio nok npr nzd omr pab pen pgk php pkr pln pyg qar ron rsd rub "
    "rwf sar sbd scr sek sgd shp sle sos srd std szl thb tjs tnd top try ttd twd tzs uah ugx usd uyu uzs vnd "
    "vuv wst xaf xcd xof xpf yer zar zmw".split()
)
LEAST: Mapping[str, int] = {
    "aed": 200, "aud": 50, "bgn": 100, "brl": 50, "cad": 50, "chf": 50, "czk": 1500, "dkk": 250, "eur": 50, "gbp": 30,
    "hkd": 400, "huf": 17500, "inr": 50, "jpy": 50, "mxn": 1000, "myr": 200, "nok": 300, "nzd": 50, "pln": 200,
    "ron": 200, "sek": 300, "sgd": 50, "thb": 1000, "usd": 50,
}  # fmt: skip
"""Smallest charge in minor units. Others are held against 0.50 USD by the day's rate, which nobody has here."""
MOST = 99_999_999
STEPS: Mapping[str, int] = {"isk": 100, "ugx": 100, **dict.fromkeys(("bhd", "jod", "kwd", "omr", "tnd"), 10)}
"""Of currencies that are written with more decimals than they are paid in."""


def currency(raw: Raw, name: str) -> str:
    """A check: the lower-case code, whatever its case was."""
    code = raw.lower() if isinstance(raw, str) else ""
    if code not in CURRENCIES:
        raise invalid(f"Invalid currency: {raw}", name)
    return code


def check_amount(amount: int, code: str) -> None:
    """Raises: StripeError for an amount that cannot be charged in this currency."""
    least = LEAST.get(code, 1)
    if amount < least:
        raise invalid(f"Amount must be at least {least} in {code}.", "amount", "amount_too_small")
    if amount > MOST:
        raise invalid(f"Amount must be no more than {MOST} in {code}.", "amount", "amount_too_large")
    step = STEPS.get(code, 1)
    if amount % step:
        raise invalid(f"Amount must be a multiple of {step} in {code}.", "amount")
