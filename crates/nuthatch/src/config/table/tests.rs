//! Names, defaults, and the other ways to give a setting, for every row.

use super::super::kind::read_text;
use super::*;

fn all() -> impl Iterator<Item = &'static Setting> {
    [Scope::Pool, Scope::Global].into_iter().flat_map(of)
}

#[test]
fn names_are_unique() {
    let mut names: Vec<_> = all().map(|setting| setting.name).collect();
    let count = names.len();
    names.sort_unstable();
    names.dedup();
    assert_eq!(names.len(), count);
}

/// The name in code is the name in the file.
#[test]
fn rows_are_called_as_their_settings() {
    let rows = [theirs::NAMES, ours::NAMES, globals::NAMES].concat();
    let settings: Vec<_> = all().map(|setting| setting.name.to_uppercase()).collect();
    assert_eq!(rows, settings);
}

#[test]
fn nutcrackers_eighteen_keys_are_known() {
    let theirs = all().filter(|setting| setting.origin == Origin::Nutcracker);
    assert_eq!(theirs.count(), 18);
}

#[test]
fn every_default_can_be_read() {
    for setting in all() {
        let read = |text| read_text(&setting.kind, text).is_ok();
        assert!(setting.default_text().is_none_or(read), "{}", setting.name);
    }
}

#[test]
fn every_global_setting_can_be_given_outside_the_file() {
    for setting in of(Scope::Global) {
        let outside = setting.outside.expect("a flag and a variable");
        assert_eq!(outside.flag, setting.name.replace('_', "-"));
        assert_eq!(
            outside.env,
            format!("NUTHATCH_{}", setting.name.to_uppercase())
        );
    }
}
