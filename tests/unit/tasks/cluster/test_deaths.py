"""What is said of a worker that died is what it died of."""

from __future__ import annotations

from ray.core.generated.common_pb2 import ActorDiedErrorContext
from ray.exceptions import ActorDiedError, OutOfMemoryError

from tasks.cluster.deaths import why_died


def _died(message: str) -> ActorDiedError:
    return ActorDiedError(
        ActorDiedErrorContext(
            error_message=message,
            class_name="ShardConverter",
            actor_id=bytes(16),
            pid=7,
            node_ip_address="127.0.0.1",
        )
    )


def test_a_process_that_was_killed_is_said_to_have_lacked_memory() -> None:
    """It was said that the actor died unexpectedly before finishing this task."""
    error = _died(
        "The actor is dead because its worker process has died. Worker exit type: SYSTEM_ERROR "
        "Worker exit detail: Worker unexpectedly exits with a connection error code 2. End of "
        "file. There are some potential root causes. (1) The process is killed by SIGKILL."
    )
    said = why_died(error)
    assert said.startswith("Worker unexpectedly exits with a connection error code 2. End of file;")
    assert said.endswith("a lack of memory")


def test_other_ends_are_told_as_they_are() -> None:
    gone = "The actor died because its node has died. Node Id: abc"
    assert why_died(_died(gone)) == gone
    assert why_died(ActorDiedError()) == "The actor died unexpectedly before finishing this task."
    assert "memory" in why_died(OutOfMemoryError("the node is low on memory"))
    assert why_died(ValueError()) == "ValueError"
