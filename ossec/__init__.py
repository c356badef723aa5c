"""OSSEC in Python."""

__version__ = "0.1.0"
COMPATIBLE_VERSION = "v4.2.0"  # what OSSEC 4.3's binaries call themselves in banners, keep-alives and CEF
