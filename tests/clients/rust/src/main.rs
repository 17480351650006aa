//! redis-rs and fred, with one line for each section: `clients-under-test redis-rs|fred`.

mod fred_sections;
mod redis_rs;
mod section;

use std::env;

fn main() -> section::Outcome {
    match env::args().nth(1).as_deref() {
        Some("redis-rs") => redis_rs::sections(),
        Some("fred") => tokio::runtime::Runtime::new()?.block_on(fred_sections::sections()),
        _ => Err("usage: clients-under-test redis-rs|fred".into()),
    }
}
