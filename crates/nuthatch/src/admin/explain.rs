//! `/explain`: where a key goes and why. What is asked stands in the query, as a form would send it:
//! `pool=POOL&key=KEY`, with `escapes=true` if the key has escapes.

use std::sync::Arc;

use percent_encoding::percent_decode;

use super::view::View;
use crate::explanation::{Explanation, unescaped};
use crate::pool::PoolShare;

/// What is asked.
#[derive(Debug, Default, PartialEq, Eq)]
struct Question {
    pool: Option<Vec<u8>>,
    key: Option<Vec<u8>>,
    escapes: bool,
}

/// The page, or what is wrong with the question.
pub(super) fn page(view: &View, query: Option<&str>) -> Result<String, String> {
    let question = Question::read(query.unwrap_or_default())?;
    let in_force = view.in_force();
    let pool = question.pool(&in_force.pools)?;
    let key = question.key()?;
    let source = view.source();
    let explanation = Explanation::of_served(pool.core(), &key, source.clock, &source.recent);
    let mut page = explanation.json();
    page["text"] = explanation.text().into();
    Ok(page.to_string())
}

impl Question {
    fn read(query: &str) -> Result<Self, String> {
        let mut question = Self::default();
        for field in query.split('&').filter(|field| !field.is_empty()) {
            let (name, value) = field.split_once('=').unwrap_or((field, ""));
            let value = decoded(value);
            match name {
                "pool" => question.pool = Some(value),
                "key" => question.key = Some(value),
                "escapes" if value == b"true" => question.escapes = true,
                "escapes" if value == b"false" => question.escapes = false,
                _ => return Err("the query has pool=, key= and escapes=true\n".into()),
            }
        }
        Ok(question)
    }

    /// The pool that is named, or the only one.
    fn pool<'p>(&self, pools: &'p [Arc<PoolShare>]) -> Result<&'p PoolShare, String> {
        match (&self.pool, pools) {
            (Some(name), _) => {
                let mut pools = pools.iter();
                let found = pools.find(|pool| pool.name().as_bytes() == name);
                found
                    .map(|pool| &**pool)
                    .ok_or("there is no such pool\n".into())
            }
            (None, [only]) => Ok(only),
            (None, _) => Err("there are several pools; pool= names one\n".into()),
        }
    }

    fn key(self) -> Result<Vec<u8>, String> {
        let key = self.key.ok_or("key= is missing\n")?;
        match self.escapes {
            true => unescaped(&key).map_err(|error| error + "\n"),
            false => Ok(key),
        }
    }
}

/// The bytes of a value in a query, where a plus sign is a blank.
fn decoded(value: &str) -> Vec<u8> {
    let value = value.replace('+', " ");
    percent_decode(value.as_bytes()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn queries_are_those_of_forms() {
        let read = |query| Question::read(query).unwrap();
        let question = read("pool=a+b&key=%00%FF%2b+x&escapes=false");
        assert_eq!(question.pool.as_deref(), Some(&b"a b"[..]));
        assert_eq!(question.key().unwrap(), b"\0\xff+ x");
        let key = |query| read(query).key();
        assert_eq!(key("key=\\x00%5cn&escapes=true").unwrap(), b"\0\n");
        assert_eq!(key("key=\\x00").unwrap(), b"\\x00");
        assert_eq!(key("key").unwrap(), b"");
        assert!(key("key=\\x0&escapes=true").is_err());
        assert!(key("pool=a").is_err());
        for bad in ["keys=a", "key=a&escapes=yes", "Key=a"] {
            assert!(Question::read(bad).is_err(), "{bad}");
        }
    }
}
