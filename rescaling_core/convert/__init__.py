"""One photo and one target in, one rendition out, restored from its own bytes and measured."""

from rescaling_core.convert.ladder import convert
from rescaling_core.convert.outcome import Kept, Models, Rendition, SourceRef
from rescaling_core.convert.preview import Previews, least_side

__all__ = ["Kept", "Models", "Previews", "Rendition", "SourceRef", "convert", "least_side"]
