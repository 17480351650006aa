//! The table of settings, one row each. The parser, the checks, the command line and the manual are all
//! driven by it, so that they cannot disagree. A row is a static: code that reads a setting refers to it and
//! gets a value of its type.

pub(super) mod globals;
pub(super) mod ours;
pub(super) mod replicas;
mod row;
pub(super) mod theirs;
pub(super) mod tls;

pub use row::{Absent, Only, Origin, Outside, Scope, Setting};

pub(super) use row::{AnyRow, Row};

/// The setting called `name` in `scope`.
pub fn find(scope: Scope, name: &str) -> Option<&'static Setting> {
    of(scope).find(|setting| setting.name == name)
}

/// Whether a setting opens the admin port.
pub fn opens_admin(setting: &Setting) -> bool {
    setting.name == globals::ADMIN.name
}

/// All settings of a scope, in the order of the manual.
pub fn of(scope: Scope) -> impl Iterator<Item = &'static Setting> {
    rows(scope).map(AnyRow::setting)
}

/// The rows of a scope, in the order of the manual.
pub(super) fn rows(scope: Scope) -> impl Iterator<Item = &'static dyn AnyRow> {
    let all = [
        theirs::ROWS,
        ours::ROWS,
        replicas::ROWS,
        tls::ROWS,
        globals::ROWS,
    ];
    let rows = all.into_iter().flatten().copied();
    rows.filter(move |row| row.setting().scope == scope)
}

#[cfg(test)]
mod tests;
