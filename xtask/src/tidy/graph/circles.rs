//! Finds circles in a graph.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

/// For each node, the nodes that it leads to.
pub(super) type Graph = BTreeMap<usize, BTreeSet<usize>>;

/// The graph of these edges, without edges from a node to itself.
pub(super) fn graph(edges: impl IntoIterator<Item = (usize, usize)>) -> Graph {
    let mut graph = Graph::new();
    for (from, to) in edges {
        graph.entry(to).or_default();
        let next = graph.entry(from).or_default();
        if from != to {
            next.insert(to);
        }
    }
    graph
}

/// The strongly connected components of two nodes or more.
pub(super) fn components(graph: &Graph) -> Vec<BTreeSet<usize>> {
    let reached: BTreeMap<usize, BTreeSet<usize>> = graph
        .keys()
        .map(|node| (*node, reached_from(graph, *node)))
        .collect();
    let mut seen = BTreeSet::new();
    let mut found = Vec::new();
    for (node, after) in &reached {
        let component: BTreeSet<usize> = after
            .iter()
            .copied()
            .filter(|other| reached[other].contains(node))
            .collect();
        if component.len() > 1 && seen.insert(component.clone()) {
            found.push(component);
        }
    }
    found
}

/// The shortest circle through any of these nodes, without repeating the first node.
pub(super) fn shortest(graph: &Graph, among: &BTreeSet<usize>) -> Vec<usize> {
    let circles = among.iter().filter_map(|node| back_to(graph, *node));
    circles.min_by_key(Vec::len).unwrap_or_default()
}

fn reached_from(graph: &Graph, start: usize) -> BTreeSet<usize> {
    let mut reached = BTreeSet::new();
    let mut waiting = vec![start];
    while let Some(node) = waiting.pop() {
        for next in &graph[&node] {
            if reached.insert(*next) {
                waiting.push(*next);
            }
        }
    }
    reached
}

fn back_to(graph: &Graph, start: usize) -> Option<Vec<usize>> {
    let mut before: BTreeMap<usize, usize> = BTreeMap::new();
    let mut waiting = VecDeque::from([start]);
    while let Some(node) = waiting.pop_front() {
        for next in &graph[&node] {
            if *next == start {
                let mut circle = vec![node];
                while let Some(earlier) = before.get(&circle[circle.len() - 1]) {
                    circle.push(*earlier);
                }
                circle.reverse();
                return Some(circle);
            }
            if !before.contains_key(next) {
                before.insert(*next, node);
                waiting.push_back(*next);
            }
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_graph_without_circles_has_no_components() {
        assert_eq!(
            components(&graph([(1, 2), (1, 3), (2, 4), (3, 4), (4, 4)])),
            []
        );
    }

    #[test]
    fn every_component_is_found_with_its_shortest_circle() {
        let graph = graph([
            (1, 2),
            (2, 3),
            (3, 1),
            (3, 2),
            (3, 4),
            (5, 6),
            (6, 5),
            (5, 1),
        ]);
        let found = components(&graph);
        assert_eq!(found, [BTreeSet::from([1, 2, 3]), BTreeSet::from([5, 6])]);
        assert_eq!(shortest(&graph, &found[0]), [2, 3]);
        assert_eq!(shortest(&graph, &found[1]), [5, 6]);
    }
}
