//! From a changed row to the main key: by its own columns where they equal the key, else by the shortest path
//! of equalities.
//!
//! The routes of all occurrences form one tree rooted at the main table, so that the path of a table on a path is
//! the rest of that path. That is what makes lookups against a later state complete: where a row on the path
//! has changed meanwhile, that row's own event follows the rest of the path.

use std::collections::{BTreeMap, BTreeSet};

use super::analysis::{Analysis, Edge};
use super::compat::{self, Operand};
use super::scope::{ColRef, Occurrence};
use crate::model::CatalogColumn;

/// How an occurrence's rows lead to main keys.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Route {
    /// These columns equal the main key's.
    Direct(Vec<ColRef>),
    /// These columns equal columns of another occurrence, which has a route itself.
    Via(Vec<Link>),
}

/// One equality of a step.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Link {
    pub from: ColRef,
    pub to: ColRef,
    pub operand: Operand,
}

/// Routes by occurrence, with their length.
#[derive(Debug, Clone, Default)]
pub(super) struct Tree {
    routes: BTreeMap<usize, (usize, Route)>,
}

impl Tree {
    pub(super) fn route(&self, occurrence: usize) -> Option<&Route> {
        self.routes.get(&occurrence).map(|(_, route)| route)
    }

    /// The occurrences on the way from this one to the main table, with this one and the main table.
    pub(super) fn chain(&self, from: usize, main: usize) -> Vec<usize> {
        let mut chain = vec![from];
        let mut at = from;
        while at != main {
            at = match self.route(at) {
                Some(Route::Via(links)) => links.first().map_or(main, |link| link.to.occurrence),
                _ => main,
            };
            chain.push(at);
        }
        chain
    }
}

/// The trees of a query: rows of an occurrence follow their route in each tree that [`Routes::trees`] names.
pub(super) struct Routes {
    base: Tree,
    /// For occurrences that only an OR connects: one tree per branch.
    split: BTreeMap<usize, Vec<Tree>>,
}

impl Routes {
    /// The trees that this occurrence's changes must follow, all of them; none where there is no path.
    pub(super) fn trees(&self, occurrence: usize) -> Vec<&Tree> {
        if self.base.route(occurrence).is_some() {
            return vec![&self.base];
        }
        self.split.get(&occurrence).map(|trees| trees.iter().collect()).unwrap_or_default()
    }
}

/// Finds the routes of every occurrence to the main key's columns.
pub(super) fn routes(analysis: &Analysis<'_>, key: &[ColRef]) -> Routes {
    let graph = Graph { tables: &analysis.occurrences, key };
    let base = graph.grow(&Tree::default(), &analysis.edges);
    let mut routes = Routes { base, split: BTreeMap::new() };
    for branches in &analysis.choices {
        let worlds: Vec<Tree> = branches
            .iter()
            .map(|branch| graph.grow(&routes.base, &analysis.edges.iter().chain(branch).copied().collect()))
            .collect();
        let mut served: BTreeSet<usize> = (0..analysis.occurrences.len())
            .filter(|i| routes.base.route(*i).is_none() && !routes.split.contains_key(i))
            .filter(|i| worlds.iter().all(|world| world.route(*i).is_some()))
            .collect();
        graph.keep_closed(&mut served, &worlds, &routes.base);
        routes.split.extend(served.into_iter().map(|i| (i, worlds.clone())));
    }
    routes
}

struct Graph<'a, 'c> {
    tables: &'a [Occurrence<'c>],
    key: &'a [ColRef],
}

impl<'c> Graph<'_, 'c> {
    fn column(&self, at: ColRef) -> Option<&'c CatalogColumn> {
        self.tables.get(at.occurrence)?.column(at.column)
    }

    fn main(&self) -> usize {
        self.key.first().map_or(0, |key| key.occurrence)
    }

    /// Adds the routes that these edges give to the occurrences that have none.
    fn grow(&self, base: &Tree, edges: &BTreeSet<Edge>) -> Tree {
        let mut tree = base.clone();
        tree.routes.entry(self.main()).or_insert_with(|| (0, Route::Direct(self.key.to_vec())));
        for (occurrence, columns) in self.direct(edges) {
            tree.routes.entry(occurrence).or_insert((1, Route::Direct(columns)));
        }
        for distance in 0..self.tables.len() {
            let near: Vec<usize> =
                tree.routes.iter().filter(|(_, (d, _))| *d == distance).map(|(i, _)| *i).collect();
            for occurrence in 0..self.tables.len() {
                if tree.routes.contains_key(&occurrence) {
                    continue;
                }
                let links = near.iter().map(|to| self.links(edges, occurrence, *to)).find(|l| !l.is_empty());
                if let Some(links) = links {
                    tree.routes.insert(occurrence, (distance + 1, Route::Via(links)));
                }
            }
        }
        tree
    }

    /// Occurrences that have a column in the class of each key column: it *is* the key.
    fn direct(&self, edges: &BTreeSet<Edge>) -> BTreeMap<usize, Vec<ColRef>> {
        // a document is named by the main table's own spelling, which only the server can tell from an equal one
        if !self.key.iter().all(|key| self.column(*key).is_some_and(compat::exact)) {
            return BTreeMap::new();
        }
        let classes: Vec<BTreeSet<ColRef>> = self.key.iter().map(|key| self.class(*key, edges)).collect();
        let mut found = BTreeMap::new();
        for occurrence in 0..self.tables.len() {
            let columns: Option<Vec<ColRef>> = classes
                .iter()
                .map(|class| class.iter().find(|c| c.occurrence == occurrence).copied())
                .collect();
            found.extend(columns.map(|columns| (occurrence, columns)));
        }
        found.remove(&self.main());
        found
    }

    /// The columns from which edges between columns of one type lead to the key column.
    fn class(&self, key: ColRef, edges: &BTreeSet<Edge>) -> BTreeSet<ColRef> {
        let mut class = BTreeSet::from([key]);
        loop {
            let before = class.len();
            for edge in edges.iter().filter(|edge| class.contains(&edge.to)).copied().collect::<Vec<_>>() {
                if let (Some(from), Some(to)) = (self.column(edge.from), self.column(edge.to))
                    && compat::same_class(from, to)
                {
                    class.insert(edge.from);
                }
            }
            if class.len() == before {
                return class;
            }
        }
    }

    /// The equalities by which values of one occurrence are looked up in another: all plain ones, or else one.
    fn links(&self, edges: &BTreeSet<Edge>, from: usize, to: usize) -> Vec<Link> {
        let between = edges.iter().filter(|e| e.from.occurrence == from && e.to.occurrence == to);
        let usable = between.filter_map(|edge| {
            let (a, b) = (self.column(edge.from)?, self.column(edge.to)?);
            let operand = compat::operand(a, b).ok().filter(|_| !edge.merged || compat::same_class(a, b))?;
            Some(Link { from: edge.from, to: edge.to, operand })
        });
        let (plain, other): (Vec<Link>, Vec<Link>) = usable.partition(|link| link.operand == Operand::Plain);
        if plain.is_empty() { other.into_iter().take(1).collect() } else { plain }
    }

    /// Drops occurrences whose way leads over one that is not served by these worlds or the base tree.
    fn keep_closed(&self, served: &mut BTreeSet<usize>, worlds: &[Tree], base: &Tree) {
        loop {
            let open: Vec<usize> = served
                .iter()
                .copied()
                .filter(|i| {
                    worlds.iter().any(|world| {
                        let mut chain = world.chain(*i, self.main()).into_iter().skip(1);
                        chain.any(|on| base.route(on).is_none() && !served.contains(&on))
                    })
                })
                .collect();
            if open.is_empty() {
                return;
            }
            for i in open {
                served.remove(&i);
            }
        }
    }
}

/// Why an occurrence has no route: its equalities, and what each fails by.
pub(super) fn explain_missing(analysis: &Analysis<'_>, occurrence: usize) -> String {
    let name = |at: ColRef| -> Option<(String, &CatalogColumn)> {
        let table = analysis.occurrences.get(at.occurrence)?;
        let column = table.column(at.column)?;
        Some((format!("{}.{}", table.alias, column.column.name), column))
    };
    let mut reasons = BTreeSet::new();
    for edge in analysis.edges.iter().filter(|e| e.from.occurrence == occurrence) {
        if let (Some((from, a)), Some((to, b))) = (name(edge.from), name(edge.to)) {
            reasons.insert(match compat::operand(a, b) {
                Err(why) => format!("{from} = {to} does not serve ({why})"),
                Ok(_) if edge.merged && !compat::same_class(a, b) => {
                    format!("{from} = {to} does not serve (it compares groups of another collation)")
                }
                Ok(_) => format!("{from} = {to} leads to a table that has no path itself"),
            });
        }
    }
    if reasons.is_empty() {
        return "no equality that must hold (WHERE, ON, IN; not under NOT, expressions or LIMIT) leads from it"
            .to_owned();
    }
    reasons.into_iter().collect::<Vec<_>>().join("; ")
}
