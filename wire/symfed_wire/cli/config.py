"""The file with profiles: where each gateway is, and as whom to call it.

[profile.default]
url = "https://symfed.example.org"
customer = "acme"
secret_key_file = "acme.key"
"""

from __future__ import annotations

import os
import re
import stat
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TextIO

from pydantic import BaseModel, ConfigDict, ValidationError

from symfed_wire.cli.errors import ConfigError

DEFAULT_PROFILE = "default"
_OTHERS = stat.S_IRWXG | stat.S_IRWXO


class Profile(BaseModel):
    """One entry; what it leaves out must come from the environment or from options."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, hide_input_in_errors=True)

    url: str | None = None
    customer: str | None = None
    secret_key: str | None = None
    secret_key_file: str | None = None


@dataclass(frozen=True)
class Config:
    """The profiles of a file, by name; none of a file that is not there."""

    path: Path
    profiles: Mapping[str, Profile]
    text: str = field(default="", repr=False)

    def profile(self, name: str | None) -> Profile:
        """The named profile; without a name the default one, or an empty one. Raises ConfigError."""
        if name is None:
            return self.profiles.get(DEFAULT_PROFILE, Profile())
        if name not in self.profiles:
            known = ", ".join(self.profiles) or "no profiles"
            raise ConfigError(f"there is no profile {name} in {self.path}; it has {known}")
        return self.profiles[name]

    def secret_key(self, name: str | None) -> str | None:
        """The profile's secret key, out of its file if it says so. Raises ConfigError."""
        profile = self.profile(name)
        if profile.secret_key_file is None:
            return profile.secret_key
        where = _where(self.path, self.text, name or DEFAULT_PROFILE, "secret_key_file")
        key_file = self.path.parent / Path(profile.secret_key_file).expanduser()
        try:
            with key_file.open(encoding="ascii") as source:
                _check_private(source, key_file)
                return source.read().strip()
        except OSError as error:
            raise ConfigError(f"{where}: {key_file}: {error.strerror}") from None
        except UnicodeDecodeError:
            raise ConfigError(f"{where}: {key_file} does not hold a key in base64") from None


def config_path(environment: Mapping[str, str] = os.environ) -> Path:
    """Where the file is, as the XDG base directory specification says."""
    base = Path(environment.get("XDG_CONFIG_HOME", ""))
    return (base if base.is_absolute() else Path.home() / ".config") / "symfed" / "config.toml"


def read_config(path: Path) -> Config:
    """The file's profiles. Raises ConfigError that names file, line and key, never a value."""
    try:
        with path.open(encoding="utf-8") as source:
            text = source.read()
            config = Config(path, _parse(path, text), text)
            if any(profile.secret_key for profile in config.profiles.values()):
                _check_private(source, path)
            return config
    except FileNotFoundError:
        return Config(path, {})
    except OSError as error:
        raise ConfigError(f"{path}: {error.strerror}") from None
    except UnicodeDecodeError:
        raise ConfigError(f"{path}: is not UTF-8") from None


def _parse(path: Path, text: str) -> dict[str, Profile]:
    try:
        document = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise ConfigError(f"{path}: {error}") from None
    if unknown := [key for key in document if key != "profile"]:
        raise ConfigError(
            f"{_where(path, text, '', unknown[0])}: write keys below a line [profile.{DEFAULT_PROFILE}]"
        )
    entries = document.get("profile", {})
    if not isinstance(entries, dict):
        raise ConfigError(f"{_where(path, text, '', 'profile')}: write it as [profile.{DEFAULT_PROFILE}]")
    return {name: _parse_profile(path, text, name, entry) for name, entry in entries.items()}


def _parse_profile(path: Path, text: str, name: str, entry: object) -> Profile:
    try:
        profile = Profile.model_validate(entry)
    except ValidationError as error:
        fault = error.errors(include_input=False, include_url=False)[0]
        key = str(fault["loc"][0]) if fault["loc"] else ""
        known = ", ".join(Profile.model_fields)
        what = f"is no key of a profile; there are {known}" if fault["type"] == "extra_forbidden" else ""
        what = what or ("must be a text in quotes" if key else f"write it as [profile.{name}]")
        raise ConfigError(f"{_where(path, text, name, key)}: {what}") from None
    if profile.secret_key is not None and profile.secret_key_file is not None:
        raise ConfigError(f"{_where(path, text, name, 'secret_key_file')}: secret_key is there too; keep one")
    return profile


def _where(path: Path, text: str, profile: str, key: str) -> str:
    """File, line and key; the line is left out where the key is written in an unusual way."""
    full = ".".join(part for part in (profile and f"profile.{profile}", key) if part)
    section = ""
    for number, line in enumerate(text.splitlines(), 1):
        header = re.fullmatch(r"\s*\[\s*profile\s*\.\s*[\"']?(.+?)[\"']?\s*\]\s*(#.*)?", line)
        section = header[1] if header else section
        is_key = re.match(rf"\s*[\"']?{re.escape(key)}[\"']?\s*[=.]", line) if key else header
        if section == profile and is_key:
            return f"{path}, line {number}: {full}"
    return f"{path}: {full}"


def _check_private(source: TextIO, path: Path) -> None:
    """Raises ConfigError for an open file with a secret that others can read."""
    mode = stat.S_IMODE(os.fstat(source.fileno()).st_mode)
    if mode & _OTHERS:
        raise ConfigError(f"{path} holds a secret and others may use it (mode {mode:04o}): chmod 600 {path}")
