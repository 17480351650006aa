//! Why a key is where it is, and where it would go: `nuthatch explain`, `nuthatch ctl explain` and the admin page `/explain`.

mod escapes;
mod explained;
mod placed;
mod replicas;
mod shown;

pub(crate) use escapes::{hex, key_text, unescaped};
pub(crate) use explained::Explanation;
pub(crate) use placed::{Placed, ring};

#[cfg(test)]
mod tests;
