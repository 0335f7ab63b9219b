"""Why an image was not made."""

from __future__ import annotations

from agentstore.kit.errors import Refused, Unavailable


class ImageRefused(Refused):
    """The bundle or archive breaks a rule. The message says which file and which rule, for its developer.

    Codes: `unsafe_path`, `unsafe_link`, `device_file`, `too_large`, `too_many_files`, `too_many_layers`,
    `malformed_archive`, `no_command`, `unsupported_runtime`, `bad_wheel`, `wrong_platform`,
    `wheels_missing`, `unpinned`, `unsafe_setting`, `bad_bytecode`.
    """

    code = "image_refused"


class BaseUnavailable(Unavailable):
    """There is no base image and none can be made here now."""

    code = "base_unavailable"
