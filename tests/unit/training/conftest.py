import pytest
import torch


@pytest.fixture(autouse=True)
def one_thread():
    """Tiny networks spend more time waiting for a second thread than it saves."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)
