"""No module imports itself by way of others, imports inside functions and for types included."""

import grimp
from networkx import DiGraph, strongly_connected_components


def test_there_is_no_circle_of_imports() -> None:
    graph = grimp.build_graph("flows", "tasks", "rescaling_core")
    imports = DiGraph(
        (importer, imported)
        for importer in graph.modules
        for imported in graph.find_modules_directly_imported_by(importer)
    )
    circles = [sorted(part) for part in strongly_connected_components(imports) if len(part) > 1]
    assert imports.number_of_edges() > 500  # else nothing was read
    assert circles == []


def test_tasks_has_at_most_a_dozen_entries() -> None:
    graph = grimp.build_graph("tasks")
    assert len(graph.find_children("tasks")) <= 12
