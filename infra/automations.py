"""Make the automations of an archive in the server that PREFECT_API_URL names, or replace them.

python infra/automations.py

They act on the deployments of infra/prefect.yaml, which are deployed first. Who is to be told
besides is for the operator to add: a notification needs an address.
"""

from __future__ import annotations

from datetime import timedelta

from prefect.client.orchestration import get_client
from prefect.client.schemas.objects import StateType
from prefect.events.actions import ChangeFlowRunState, PauseDeployment, RunDeployment
from prefect.events.schemas.automations import AutomationCore, EventTrigger, Posture

from tasks.control.events import DAMAGE, QUARANTINE

ENDED = {
    f"prefect.flow-run.{state}"
    for state in ("Completed", "Failed", "Cancelled", "Cancelling", "Crashed", "Paused")
}
HEARTBEAT = "prefect.flow-run.heartbeat"
SILENCE = timedelta(minutes=10)


def _id_of(deployment: str) -> str:
    with get_client(sync_client=True) as client:
        return str(client.read_deployment_by_name(deployment).id)


def wanted() -> list[AutomationCore]:
    """Every automation, for the deployments as the server has them."""
    return [
        AutomationCore(
            name="refold: a run that fell silent has crashed",
            description="Its machine is gone, or it hangs. The next run goes on where it was. "
            "Needs PREFECT_FLOWS_HEARTBEAT_FREQUENCY in the environment of the worker.",
            trigger=EventTrigger(
                posture=Posture.Proactive,
                match={"prefect.resource.id": "prefect.flow-run.*"},
                match_related={
                    "prefect.resource.id": "prefect.tag.refold",
                    "prefect.resource.role": "tag",
                },
                after={HEARTBEAT},
                expect={HEARTBEAT, *ENDED},
                for_each={"prefect.resource.id"},
                within=SILENCE,
            ),
            actions=[
                ChangeFlowRunState(
                    state=StateType.CRASHED, message=f"No sign of life for {SILENCE}."
                )
            ],
        ),
        AutomationCore(
            name="refold: no source goes while the archive is damaged",
            description="A scrub found damage: the schedule of retire is paused until somebody "
            "repaired it and resumes it.",
            trigger=EventTrigger(
                posture=Posture.Reactive,
                expect={DAMAGE},
                threshold=1,
                within=timedelta(0),
            ),
            actions=[
                PauseDeployment(source="selected", deployment_id=_id_of("retire/weekly-proof"))
            ],
        ),
        AutomationCore(
            name="refold: a page about many sources in quarantine",
            description="A run put more than a hundredth into quarantine: its page says why.",
            trigger=EventTrigger(
                posture=Posture.Reactive,
                expect={QUARANTINE},
                threshold=1,
                within=timedelta(0),
            ),
            actions=[RunDeployment(source="selected", deployment_id=_id_of("report/on-demand"))],
        ),
    ]


def main() -> None:
    """Create what is not there yet, and replace what is there under the same name."""
    for automation in wanted():
        with get_client(sync_client=True) as client:
            there = client.read_automations_by_name(automation.name)
            for earlier in there:
                client.delete_automation(earlier.id)
            client.create_automation(automation)
        print(f"{'replaced' if there else 'created'}: {automation.name}")


if __name__ == "__main__":
    main()
