"""One photo and one target in, one rendition out, restored from its own bytes and measured."""

from rescaling_core.convert.ladder import convert
from rescaling_core.convert.outcome import Kept, Models, Rendition, SourceRef
from rescaling_core.convert.rivals import Rival

__all__ = ["Kept", "Models", "Rendition", "Rival", "SourceRef", "convert"]
