//! Why a key is where it is, and where it would go: `nuthatch explain` and `nuthatch ctl explain`.

mod escapes;
mod explained;
mod placed;
mod shown;

pub(crate) use escapes::{hex, key_text, unescaped};
pub(crate) use explained::Explanation;
pub(crate) use placed::{Placed, ring};

#[cfg(test)]
mod tests;
