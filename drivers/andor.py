"""Cameras of Andor (iDus, Newton, iXon) through the SDK2, in a process of their own.

Needs the maker's SDK and the extra "sdk-cameras" (pylablib, GPL, never imported by the program).
Never tried on hardware. Address: process://andor.
"""

from drivers.link import Whole
from drivers.registry import register
from drivers.roles import Camera
from drivers.sdk_camera import SdkCamera, SdkCameraConfig, SdkClient

__all__ = ["AndorCamera"]


@register(
    "andor.sdk2",
    Camera,
    config=SdkCameraConfig,
    framing=Whole(),
    line=SdkClient.configured,
)
class AndorCamera(SdkCamera):
    """A camera of this make (roles.Camera)."""
