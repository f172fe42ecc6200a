"""Cameras of Princeton Instruments (PIXIS, ProEM, BLAZE) through PICam, in a process of their own.

Needs the maker's SDK and the extra "sdk-cameras" (pylablib, GPL, never imported by the program).
Never tried on hardware. Address: process://picam.
"""

from drivers.link import Whole
from drivers.registry import register
from drivers.roles import Camera
from drivers.sdk_camera import SdkCamera, SdkCameraConfig, SdkClient

__all__ = ["PrincetonCamera"]


@register(
    "princeton.picam",
    Camera,
    config=SdkCameraConfig,
    framing=Whole(),
    line=SdkClient.configured,
)
class PrincetonCamera(SdkCamera):
    """A camera of this make (roles.Camera)."""
